/* fuzz_lists.c - image lists in VTAB-1K's format. */
#include "fuzz_files.h"

FUZZ_NAMES("train800.txt", "val200.txt", "test.txt", "train800val200.txt", "classes.txt", "a", "b/c.png",
           "d e")
