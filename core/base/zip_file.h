/* zip_file.h - a zip archive through libzip, which only zip_file.c sees: its members by name, each read whole.
 *
 * Refused: encrypted members, names twice, members that claim to unpack to more than deflate can give (1032
 * bytes for one), other packings than none and deflate. libzip checks each member's CRC. */
#ifndef VITRO_BASE_ZIP_FILE_H
#define VITRO_BASE_ZIP_FILE_H

#include <stddef.h>
#include <stdint.h>

struct zip_member {
    const char *name;
    size_t size;   /* unpacked */
    int is_stored; /* not packed: `size` bytes lie in the file */
    uint64_t index;
};

struct zip_file;
/* `bytes` are lent until close; `what` names them in sentences. */
int zip_file_view(struct zip_file **out, const void *bytes, size_t size, const char *what);
void zip_file_close(struct zip_file *z); /* NULL is fine */

size_t zip_file_count(const struct zip_file *z);
const struct zip_member *zip_file_at(const struct zip_file *z, size_t i);
const struct zip_member *zip_file_find(const struct zip_file *z, const char *name); /* or NULL */
/* The first `size` bytes of a member; the CRC is checked if that is all of it. */
int zip_file_read(const struct zip_file *z, const struct zip_member *m, void *out, size_t size);

#endif
