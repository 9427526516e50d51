/* fuzz_tokenizer.c - CLIP's tokenizer on texts of any bytes, with a few merges. */
#include "fuzz.h"

#include "tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct tokenizer *make(void)
{
    static const char merges[] =
        "#version: 0.2\nt h\nth e</w>\na n\ni n\nan d</w>\nin g</w>\n' s</w>\nc a\nca t</w>\n";
    char path[] = "/tmp/fuzz_tokenizer_XXXXXX";
    struct tokenizer *t = NULL;
    const int fd = mkstemp(path);
    if (fd < 0 || write(fd, merges, sizeof merges - 1) < 0 || close(fd) < 0 || tokenizer_open(&t, path) < 0)
        abort();
    unlink(path);
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct tokenizer *t;
    uint32_t ids[77];
    if (!t)
        t = make();
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, bytes, size);
    text[size] = 0;
    const int count = tokenizer_encode(t, text, ids, 77);
    for (int i = 0; i < count && i < 77; i++)
        if (ids[i] >= tokenizer_size(t))
            abort();
    free(text);
    return 0;
}
