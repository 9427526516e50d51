/* elf_file.h - what a shared object says about itself before it is opened: symbols and libraries. */
#ifndef VITRO_LINT_ELF_FILE_H
#define VITRO_LINT_ELF_FILE_H

#include <stddef.h>

enum { ELF_NAMES = 64 };
struct elf_names {
    const char *name[ELF_NAMES]; /* the first of them */
    size_t count;                /* how many there are */
};

struct elf_file {
    struct elf_names exports; /* dynamic symbols that it defines for others */
    struct elf_names needs;   /* libraries, DT_NEEDED */
    void *map;                /* private */
};

/* Refuses a file that is no 64-bit shared object, or whose tables lead out of it, with a sentence. */
int elf_file_open(struct elf_file *f, const char *path);
void elf_file_close(struct elf_file *f); /* of a zeroed one too */

#endif
