/* hash.c - SHA-256 by libcrypto's EVP interface; nothing else here sees OpenSSL. */
#include "hash.h"

#include "error.h"
#include "file.h"
#include "memory.h"

#include <openssl/evp.h>

struct hash {
    EVP_MD_CTX *context;
    int failed; /* a step failed; hash_end reports it */
};

int hash_begin(struct hash **out)
{
    *out = NULL;
    struct hash *h = mem_alloc(1, sizeof *h);
    if (!h)
        return ERR_MEMORY;
    h->context = EVP_MD_CTX_new();
    if (!h->context || EVP_DigestInit_ex(h->context, EVP_sha256(), NULL) != 1) {
        hash_abandon(h);
        return fail(ERR_MEMORY, "SHA-256 could not be started: libcrypto is out of memory or has no SHA-256");
    }
    *out = h;
    return 0;
}

void hash_add(struct hash *h, const void *bytes, size_t size)
{
    if (size && EVP_DigestUpdate(h->context, bytes, size) != 1)
        h->failed = 1;
}

int hash_end(struct hash *h, char text[HASH_TEXT])
{
    static const char digit[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    int good = !h->failed && EVP_DigestFinal_ex(h->context, digest, &size) == 1 && size == HASH_BYTES;
    hash_abandon(h);
    text[0] = 0;
    if (!good)
        return fail(ERR_MEMORY, "SHA-256 could not be computed: libcrypto refused a step");
    for (int i = 0; i < HASH_BYTES; i++) {
        text[2 * i] = digit[digest[i] >> 4];
        text[2 * i + 1] = digit[digest[i] & 15];
    }
    text[2 * HASH_BYTES] = 0;
    return 0;
}

void hash_abandon(struct hash *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->context);
    mem_free(h);
}

int hash_bytes(const void *bytes, size_t size, char text[HASH_TEXT])
{
    struct hash *h = NULL;
    TRY(hash_begin(&h));
    hash_add(h, bytes, size);
    return hash_end(h, text);
}

int hash_file(const char *path, char text[HASH_TEXT])
{
    struct file_map map = {0};
    TRY(file_map(&map, path));
    int rc = hash_bytes(map.bytes, map.size, text);
    file_unmap(&map);
    return rc;
}
