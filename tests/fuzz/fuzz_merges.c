/* fuzz_merges.c - the files of CLIP's tokenizer: tokenizer.json where the bytes begin with a brace, else merges.txt (plain or
 * by gzip); what opens encodes a text. */
#include "fuzz.h"

#include "tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static char folder[] = "/tmp/fuzz_merges_XXXXXX", path[64];
    static int made;
    if (!made++ && !mkdtemp(folder))
        abort();
    snprintf(path, sizeof path, "%s/%s", folder, size && *bytes == '{' ? "tokenizer.json" : "merges.txt");
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f) != 0)
        abort();
    struct tokenizer *t = NULL;
    uint32_t ids[77];
    if (tokenizer_open(&t, path) == 0) {
        const int count = tokenizer_encode(t, "the cat's 12 th\xc3\xa9", ids, 77);
        for (int i = 0; i < count && i < 77; i++)
            if (ids[i] >= tokenizer_size(t))
                abort();
    }
    tokenizer_close(t);
    unlink(path);
    return 0;
}
