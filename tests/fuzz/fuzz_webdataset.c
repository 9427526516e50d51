/* fuzz_webdataset.c - WebDataset's samples behind the archive: names, labels, class names. */
#include "fuzz_files.h"

FUZZ_NAMES("0.jpg", "0.cls", "0.json", "1.png", "1.cls", "1.seg.png", "a/2.ppm", "a/2.cls", "3.PNG", "3.cls",
           "3.jpeg", "classes.txt", "classnames.txt", "x.tar", "README")
