/* tidy.c - see tidy.h. */
#include "tidy.h"

#include "error.h"
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Calls `each` with every name in the folder, which need not be there. */
static int each_name(struct store *s, const char *path,
                     int (*each)(struct store *s, const char *path, const char *name))
{
    DIR *folder = opendir(path);
    int rc = 0;
    if (!folder)
        return errno == ENOENT ? 0 : fail(ERR_IO, "%s cannot be read: %s", path, strerror(errno));
    for (struct dirent *entry; rc == 0 && (entry = readdir(folder));)
        if (entry->d_name[0] != '.')
            rc = each(s, path, entry->d_name);
    closedir(folder);
    return rc;
}

static int finish_trial(struct store *s, const char *path, const char *name)
{
    (void)path;
    return strlen(name) == HASH_TEXT - 1 && store_has(s, name) ? store_remove(s, STORE_WORK, name) : 0;
}

/* file_begin's temporary names */
static int drop_unfinished(struct store *s, const char *path, const char *name)
{
    char file[STORE_PATH];
    const char *mark = strstr(name, ".tmp.");
    (void)s;
    if (!mark || mark[5] == 0 || strspn(mark + 5, "0123456789") != strlen(mark + 5))
        return 0;
    if (snprintf(file, sizeof file, "%s/%s", path, name) >= (int)sizeof file)
        return 0;
    return unlink(file) == 0 || errno == ENOENT
               ? 0
               : fail(ERR_IO, "%s cannot be removed: %s", file, strerror(errno));
}

int tidy_store(struct store *s, const char *study)
{
    char path[STORE_PATH];
    TRY(store_path(s, STORE_WORK, "", NULL, path));
    TRY(each_name(s, path, finish_trial));
    TRY(store_path(s, STORE_STUDY, study, NULL, path));
    TRY(each_name(s, path, drop_unfinished));
    TRY(store_path(s, STORE_PACK, "", NULL, path));
    char *slash = strrchr(path, '/');
    *slash = 0;
    return each_name(s, path, drop_unfinished);
}

int tidy_index(const struct store *s, struct index *x)
{
    char path[STORE_PATH];
    int bad;
    if (snprintf(path, sizeof path, "%s/results", store_folder(s)) >= (int)sizeof path)
        return fail(ERR_INPUT, "the store's path is too long");
    const int count = index_rebuild(x, path, &bad);
    return count < 0 ? count : 0;
}
