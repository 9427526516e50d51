/* Must not build: base lies below tape. */
#include "tape.h"

extern int unused;
