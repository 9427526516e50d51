/* result_source.c - see result_source.h. Looks through the folders themselves: files are the truth. */
#include "result_source.h"

#include "file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

static int check_prefix(const char *prefix)
{
    const size_t length = strlen(prefix);
    if (length < 4 || length >= HASH_TEXT || strspn(prefix, "0123456789abcdef") != length)
        return fail(
            ERR_USAGE,
            "\"%.80s\" is no result's id: 4 to %d of the digits 0-9 and a-f; `vitro db list` lists them",
            prefix, HASH_TEXT - 1);
    return 0;
}

static int find_id(const struct store *store, const char *prefix, char id[HASH_TEXT])
{
    char path[STORE_PATH];
    int found = 0;
    TRY(check_prefix(prefix));
    if (snprintf(path, sizeof path, "%s/results/%.2s", store_folder(store), prefix) >= (int)sizeof path)
        return fail(ERR_INPUT, "the store's path is too long");
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (strlen(entry->d_name) == HASH_TEXT - 1 && strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            snprintf(id, HASH_TEXT, "%.64s", entry->d_name);
            found++;
        }
    if (folder)
        closedir(folder);
    if (found > 1)
        return fail(ERR_INPUT, "%d results of the store %s begin with %s; give more digits", found,
                    store_folder(store), prefix);
    return found ? 0
                 : fail(ERR_INPUT, "the store %s has no result %s; `vitro db list` lists them",
                        store_folder(store), prefix);
}

int result_open(struct result_file *r, const struct store *store, const char *prefix)
{
    char path[STORE_PATH];
    *r = (struct result_file){0};
    TRY(find_id(store, prefix, r->id));
    TRY(store_path(store, STORE_RESULT, r->id, "result.json", path));
    int rc = json_read_file(&r->result, path);
    if (rc == 0)
        rc = store_outcome(store, r->id, &r->outcome);
    if (rc == 0 && store_path(store, STORE_RESULT, r->id, "run.json", path) == 0 && file_exists(path))
        rc = json_read_file(&r->run, path);
    if (rc < 0)
        result_close(r);
    return rc;
}

void result_close(struct result_file *r)
{
    json_destroy(r->result);
    json_destroy(r->run);
    *r = (struct result_file){0};
}
