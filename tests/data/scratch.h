/* scratch.h - a temporary folder that a test group works in, and a small data set made there. */
#ifndef VITRO_TESTS_DATA_SCRATCH_H
#define VITRO_TESTS_DATA_SCRATCH_H

#include "file.h"
#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch_folder[64];

static inline int scratch_enter(void **state)
{
    (void)state;
    strcpy(scratch_folder, "vitro_data_XXXXXX");
    return mkdtemp(scratch_folder) && chdir(scratch_folder) == 0 ? 0 : -1;
}

static inline int scratch_leave(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -r '%s'", scratch_folder);
    return chdir("..") == 0 && system(command) == 0 ? 0 : -1;
}

/* Without file_write's fsync, which would take most of the tests' time. */
static inline int scratch_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return -1;
    size_t written = fwrite(bytes, 1, size, f);
    return fclose(f) == 0 && written == size ? 0 : -1;
}

static inline int scratch_text(const char *path, const char *text)
{
    return scratch_bytes(path, text, strlen(text));
}

/* set/: seven pictures of 6 x 4, train 3, val 2, test 2, three classes. */
static inline int scratch_make_set(void)
{
    if (file_make_folders("set/images") < 0)
        return -1;
    for (int i = 0; i < 7; i++) {
        unsigned char rgb[6 * 4 * 3];
        char path[32];
        for (int k = 0; k < (int)sizeof rgb; k++)
            rgb[k] = (unsigned char)(k * 37 + i * 11);
        snprintf(path, sizeof path, "set/images/no %d.png", i);
        if (image_write_png(path, rgb, 6, 4) < 0)
            return -1;
    }
    return scratch_text("set/train800.txt", "images/no 0.png 0\nimages/no 1.png 1\nimages/no 2.png 2\n") <
                       0 ||
                   scratch_text("set/val200.txt", "images/no 3.png 1\nimages/no 4.png 0") < 0 ||
                   scratch_text("set/test.txt", "images/no 5.png 2\r\nimages/no 6.png 0\r\n\r\n") < 0 ||
                   scratch_text("set/classes.txt", "cat\nbig dog\nfish\n") < 0
               ? -1
               : 0;
}

#endif
