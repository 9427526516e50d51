/* fuzz_cifar.c - CIFAR-10's and -100's binary files with their class names. Records are 3 KB: run.sh allows 64 KB. */
#include "fuzz_files.h"

FUZZ_NAMES("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin", "batches.meta.txt", "train.bin",
           "test.bin", "fine_label_names.txt", "a/train.bin")
