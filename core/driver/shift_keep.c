/* shift_keep.c - see shift_keep.h. */
#include "shift_keep.h"

#include "file.h"
#include "progress.h"

#include <stdio.h>
#include <string.h>

/* --- the ledger: corrupted images of a test split are one look at it, whatever the corruptions are */

static int record_one(struct ledger *ledger, struct ledger_line *line, const char *pack, const char *test)
{
    line->pack = pack;
    line->test = test;
    return ledger_append(ledger, line);
}

static int corrupted_test(const char *test, char digest[HASH_TEXT])
{
    char text[160];
    snprintf(text, sizeof text, "vitro corrupted test 1\n%s\n", test);
    return hash_bytes(text, strlen(text), digest);
}

/* On disk before any of these images is shown to the method. */
static int record(const struct store *store, const struct judging *j, struct ledger_line *line,
                  const char *pack)
{
    const struct shift_sets *sets = j->sets;
    const char *test = pack_info(sets->pack)->split_fingerprint[PACK_TEST];
    char path[STORE_PATH], method[256], name[160], digest[HASH_TEXT];
    struct ledger *ledger = NULL;
    int corrupted = 0;
    if (sets->split != PACK_TEST)
        return 0;
    if (j->kind == SHIFT_WISE) { /* another method: it has an alpha */
        snprintf(method, sizeof method, "%.200s, wise", line->method);
        line->method = method;
    }
    TRY(store_path(store, STORE_LEDGER, NULL, NULL, path));
    TRY(ledger_open(&ledger, path));
    int rc = j->kind == SHIFT_WISE ? record_one(ledger, line, pack, test) : 0;
    for (uint32_t k = 0; k < sets->count && rc == 0; k++) {
        const struct judged_set *set = &sets->sets[k];
        if (set->kind == SET_DATA)
            rc = record_one(ledger, line, set->name, set->fingerprint);
        corrupted |= set->kind == SET_CORRUPTION;
    }
    snprintf(name, sizeof name, "%.120s, corrupted", pack);
    if (rc == 0 && corrupted)
        rc = corrupted_test(test, digest);
    if (rc == 0 && corrupted)
        rc = record_one(ledger, line, name, digest);
    ledger_close(ledger);
    return rc;
}

/* --- one subject: judged, or found judged */

int shift_keep(const struct store *store, const struct judging *j, const struct subject *subject,
               struct ledger_line *line, const char *pack, char id[HASH_TEXT], struct progress *bar)
{
    char folder[STORE_PATH], result[STORE_PATH];
    struct json *spec = NULL;
    struct arena arena = {0};
    struct shift_run run;
    const double before = bar->done;
    TRY(shift_spec(&spec, j, subject));
    int rc = trial_id(spec, id);
    if (rc == 0)
        rc = store_path(store, STORE_SHIFT, id, NULL, folder);
    if (rc == 0)
        rc = store_path(store, STORE_SHIFT, id, "result.json", result);
    if (rc == 0 && !file_exists(result)) {
        line->trial = id;
        rc = record(store, j, line, pack);
        if (rc == 0)
            rc = shift_judge(&run, &arena, j, subject, bar);
        if (rc == 0)
            rc = shift_write(&run, spec, folder);
    }
    progress_show(bar, before + j->sets->count, "");
    json_destroy(spec);
    arena_finish(&arena);
    return rc;
}
