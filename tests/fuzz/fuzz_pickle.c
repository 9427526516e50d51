/* fuzz_pickle.c - a pickle alone, without the archive whose checksums keep a fuzzer out. */
#include "fuzz.h"

#include "pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct pickle_global globals[] = {{"collections", "OrderedDict", PICKLE_MAKES_DICT},
                                                   {"torch._utils", "_rebuild_tensor_v2", PICKLE_VALUE},
                                                   {"torch", "FloatStorage", PICKLE_VALUE},
                                                   {"__torch__", NULL, PICKLE_MAKES_OBJECT},
                                                   {"torch.jit._pickle", NULL, PICKLE_VALUE},
                                                   {NULL, NULL, PICKLE_VALUE}};
    struct arena arena = {0};
    struct pickle_node *out = NULL;
    (void)pickle_read(&out, &arena, bytes, size, globals, "fuzz");
    arena_finish(&arena);
    return 0;
}
