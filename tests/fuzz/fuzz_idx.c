/* fuzz_idx.c - MNIST's IDX files, plain and packed by gzip. */
#include "fuzz_files.h"

FUZZ_NAMES("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz",
           "t10k-labels-idx1-ubyte.gz", "val-images.idx3-ubyte", "val-labels.idx1-ubyte",
           "a/train-images-idx3-ubyte")
