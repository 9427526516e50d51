/* opening.c - see opening.h. */
#include "opening.h"

#include "ledger.h"
#include "store.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

void opening_method_name(const char *method, char name[160])
{
    size_t used = 0;
    int depth = 0;
    for (; *method && used + 1 < 160; method++) {
        depth += *method == '[';
        if (depth == 0)
            name[used++] = *method;
        depth -= *method == ']';
    }
    name[used] = 0;
}

static int append(const struct store *store, const struct trial *t, const struct settings *s, const char *id)
{
    char path[STORE_PATH], name[160];
    struct ledger *ledger = NULL;
    const struct pack_info *info = pack_info(t->pack);
    opening_method_name(method_text(t->method), name);
    const struct ledger_line line = {.study = "",
                                     .method = name,
                                     .pack = info->task,
                                     .backbone = s->model ? s->model : "bundled",
                                     .test = info->split_fingerprint[PACK_TEST],
                                     .model = t->vit->source_hash,
                                     .seed = s->recipe.seed,
                                     .trial = id,
                                     .reason = s->again ? s->again : ""};
    TRY(store_path(store, STORE_LEDGER, NULL, NULL, path));
    TRY(ledger_open(&ledger, path));
    int rc = ledger_append(ledger, &line);
    ledger_close(ledger);
    return rc;
}

int opening_record(const struct trial *t, const struct settings *s, const struct json *what)
{
    char id[HASH_TEXT];
    struct store *store = NULL;
    TRY(trial_id(what, id));
    TRY(store_open(&store, s->store, 1));
    int rc = append(store, t, s, id);
    store_close(store);
    return rc;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"final", 0, ARGUMENT_FLAG, FIELD(final), 0, 0, NULL, NULL,
     "open the test split, once a method, data set, model and seed, and write that into the store's ledger"},
    {"again", 0, ARGUMENT_TEXT, FIELD(again), 0, 0, NULL, "REASON",
     "open it although it was opened before; the ledger keeps the reason"},
    {"store", 'S', ARGUMENT_TEXT, FIELD(store), 0, 0, NULL, "FOLDER", "whose ledger it is (docs/store.md)"},
    {0}};
const struct argument_group group_opening = {"Test split", rows};
