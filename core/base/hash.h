/* hash.h - SHA-256 (FIPS 180-4) through libcrypto: fingerprints of packs, recipes and plugins. */
#ifndef VITRO_BASE_HASH_H
#define VITRO_BASE_HASH_H

#include <stddef.h>

enum { HASH_BYTES = 32, HASH_TEXT = 65 }; /* HASH_TEXT: lower-case hex and a final 0 */

struct hash; /* one digest in the making */
int hash_begin(struct hash **out);
void hash_add(struct hash *h, const void *bytes, size_t size); /* errors surface in hash_end */
int hash_end(struct hash *h, char text[HASH_TEXT]); /* frees h either way */
void hash_abandon(struct hash *h); /* NULL is fine */
int hash_bytes(const void *bytes, size_t size, char text[HASH_TEXT]);
int hash_file(const char *path, char text[HASH_TEXT]);

#endif
