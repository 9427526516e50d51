/* study_tuning.c - see study_tuning.h. */
#include "study_tuning.h"

#include "error.h"
#include "file.h"
#include "json.h"
#include "memory.h"

#include <stdio.h>

int study_tuning_keep(const struct store *store, const char *study, const char *users)
{
    static const char untuned[] = "{}\n";
    enum { LARGEST = 16 << 20 };
    char path[STORE_PATH], *bytes = NULL;
    size_t size = 0;
    TRY(store_path(store, STORE_STUDY, study, "tuning.json", path));
    if (file_exists(path))
        return 0;
    if (!users || !file_exists(users))
        return file_write(path, untuned, sizeof untuned - 1);
    TRY(file_read(users, LARGEST, &bytes, &size));
    int rc = file_write(path, bytes, size);
    mem_free(bytes);
    return rc;
}

int study_tuning(const struct store *store, const char *study, char path[STORE_PATH])
{
    struct json *j = NULL;
    TRY(store_path(store, STORE_STUDY, study, "tuning.json", path));
    const int tuned = file_exists(path) && json_read_file(&j, path) == 0 && json_count(j) > 0;
    json_destroy(j);
    if (!tuned)
        snprintf(path, STORE_PATH, "off");
    return 0;
}
