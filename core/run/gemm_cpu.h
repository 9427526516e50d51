/* gemm_cpu.h - products in the style of CPU devices, and what they leave for each other in panels.
 *
 * A matrix [rows][columns] in panels is [columns / 16][rows][16]: as these products pack their operand B. Where a
 * product leaves its result so, a tile's rows of it lie one behind the other. */
#ifndef VITRO_RUN_GEMM_CPU_H
#define VITRO_RUN_GEMM_CPU_H

#include "products.h"
#include "program.h"

enum { PANEL = 16 };       /* columns */
enum { SECOND_MOST = 32 }; /* steps of a second product: all of them are unrolled */

void lower_gemm_cpu(struct program *p, value out, const struct fusion *f, const struct product *r);

/* Whether this style computes the product here at all. */
int gemm_cpu_serves(struct program *p, const struct product *r);
/* Whether the kernel of r can add such a second product, of few steps. */
int gemm_cpu_adds(struct program *p, const struct product *r, const struct product *second);
/* Whether its result, and what its epilogue keeps or multiplies by, may be in panels. */
int gemm_cpu_leaves_panels(const struct program *p, const struct product *r);
/* Whether its operand 0 or 1, which changes every step, may be a matrix in panels; wanted where it would have to be packed
 * else, or its columns be walked down. */
enum panel_use { PANELS_UNREAD, PANELS_READ, PANELS_WANTED };
enum panel_use gemm_cpu_reads_panels(const struct program *p, const struct product *r, int operand);

#endif
