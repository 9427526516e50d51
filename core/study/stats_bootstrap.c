/* stats_bootstrap.c - the hierarchical bootstrap and what is read off its replicates; see stats.h.
 *
 * A draw of images is how often each one came, one draw for all methods and seeds of a task. As those counts
 * are small, they are kept as bit planes, 64 images a word; a weighted count of right answers is then an AND
 * and a count of bits for each plane, for rows of right answers packed the same way. */
#include "stats.h"

#include "error.h"
#include "memory.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* An image's count is a byte. Of n images drawn n times, one comes 256 times with a chance below n / 256!. */
enum { PLANES = 8, WORD = 64 };

struct packed_task {
    uint64_t *row;   /* [method][seed][words]; NULL when images are not drawn */
    uint64_t *right; /* [method][seed]: right answers as measured */
    size_t words;
};

struct work {
    struct arena arena;
    struct packed_task *task;
    unsigned char *images; /* [most words * WORD] how often each image was drawn */
    uint64_t *plane;       /* [PLANES][words of the task] */
    uint64_t *seeds;       /* [seeds] how often each seed was drawn */
};

/* Bit `bit` of each of 64 bytes, as one word. The order of the bits is the machine's, the same for rows and
 * planes. */
static uint64_t gather_bits(const unsigned char *bytes, int bit)
{
    uint64_t word = 0;
    for (int i = 0; i < WORD; i += 8) {
        uint64_t eight;
        memcpy(&eight, bytes + i, sizeof eight);
        eight = eight >> bit & 0x0101010101010101u;
        word |= (eight * 0x0102040810204080u >> 56) << i; /* no two partial products meet */
    }
    return word;
}

/* Bits set in both; bytes of partial sums, for compilers to work on several words at once. */
static uint64_t count_common(const uint64_t *a, const uint64_t *b, size_t words)
{
    enum { WORDS_TO_FILL_A_BYTE = 31 }; /* 8 bits each: 248 */
    uint64_t total = 0;
    for (size_t first = 0; first < words; first += WORDS_TO_FILL_A_BYTE) {
        size_t end = words - first < WORDS_TO_FILL_A_BYTE ? words : first + WORDS_TO_FILL_A_BYTE;
        uint64_t bytes = 0;
        for (size_t i = first; i < end; i++) {
            uint64_t x = a[i] & b[i];
            x -= x >> 1 & 0x5555555555555555u;
            x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
            bytes += (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
        }
        uint64_t pairs = (bytes & 0x00ff00ff00ff00ffu) + (bytes >> 8 & 0x00ff00ff00ff00ffu);
        total += pairs * 0x0001000100010001u >> 48;
    }
    return total;
}

/* `draws` of 0 .. n - 1 with replacement, counted. Lemire 2019 (arXiv 1805.10941): the high word of a product
 * is the draw, and is fair once products with a low word below 2^32 mod n are refused. */
static void draw_counts(struct rng *r, uint32_t n, unsigned char *counts)
{
    uint32_t unfair = (UINT32_MAX - n + 1) % n;
    memset(counts, 0, n);
    r->next = (r->next + 3) & ~UINT64_C(3); /* whole blocks of four words from here */
    for (uint32_t drawn = 0; drawn < n;) {
        struct philox block = philox4x32(r->seed, r->next >> 2, r->stream);
        r->next += 4;
        for (int i = 0; i < 4 && drawn < n; i++) {
            uint64_t product = (uint64_t)block.word[i] * n;
            if ((uint32_t)product < unfair)
                continue;
            counts[product >> 32]++;
            drawn++;
        }
    }
}

/* Draws a task's images into `plane`; returns how many planes are in use. */
static int draw_images(struct work *w, const struct packed_task *t, uint32_t images, struct rng *r)
{
    draw_counts(r, images, w->images);
    memset(w->images + images, 0, t->words * WORD - images);
    int most = 0;
    for (size_t i = 0; i < images; i++)
        most |= w->images[i];
    int planes = 0;
    for (; most >> planes; planes++)
        for (size_t i = 0; i < t->words; i++)
            w->plane[(size_t)planes * t->words + i] = gather_bits(w->images + i * WORD, planes);
    return planes;
}

static void draw_seeds(const struct bootstrap *b, uint64_t *seeds, struct rng *r)
{
    int anew = (b->levels & BOOTSTRAP_SEEDS) != 0;
    for (size_t s = 0; s < b->seeds; s++)
        seeds[s] = !anew;
    for (size_t s = 0; anew && s < b->seeds; s++)
        seeds[rng_below(r, (uint32_t)b->seeds)]++;
}

/* Adds one drawn task to the scores [methods]. */
static void add_task(struct work *w, const struct bootstrap *b, size_t task, struct rng *r, double *scores)
{
    const struct packed_task *t = &w->task[task];
    uint32_t images = b->task[task].images;
    draw_seeds(b, w->seeds, r);
    int planes = t->row ? draw_images(w, t, images, r) : 0;
    for (size_t m = 0; m < b->methods; m++) {
        uint64_t right = 0;
        for (size_t s = 0; s < b->seeds; s++) {
            size_t row = m * b->seeds + s;
            if (!w->seeds[s])
                continue;
            uint64_t of_row = t->row ? 0 : t->right[row];
            for (int k = 0; k < planes; k++)
                of_row += count_common(t->row + row * t->words, w->plane + (size_t)k * t->words, t->words)
                          << k;
            right += w->seeds[s] * of_row;
        }
        scores[m] += (double)right / ((double)images * (double)b->seeds);
    }
}

static int pack_task(struct work *w, const struct bootstrap *b, size_t task)
{
    const struct bootstrap_task *from = &b->task[task];
    struct packed_task *t = &w->task[task];
    size_t rows = b->methods * b->seeds;
    t->words = ((size_t)from->images + WORD - 1) / WORD;
    t->right = arena_alloc(&w->arena, rows, sizeof *t->right);
    if (b->levels & BOOTSTRAP_IMAGES)
        t->row = arena_alloc(&w->arena, rows, t->words * sizeof *t->row);
    if (!t->right || (b->levels & BOOTSTRAP_IMAGES && !t->row))
        return ERR_MEMORY;
    memset(w->images, 0, t->words * WORD);
    for (size_t row = 0; row < rows; row++) {
        const unsigned char *right = from->right + row * from->images;
        for (size_t i = 0; i < from->images; i++) {
            w->images[i] = right[i] != 0;
            t->right[row] += w->images[i];
        }
        for (size_t i = 0; t->row && i < t->words; i++)
            t->row[row * t->words + i] = gather_bits(w->images + i * WORD, 0);
    }
    return 0;
}

static int refuse(const struct bootstrap *b)
{
    const uint32_t known = BOOTSTRAP_TASKS | BOOTSTRAP_SEEDS | BOOTSTRAP_IMAGES;
    if (!b->methods || !b->seeds || !b->tasks || !b->replicates || b->tasks > UINT32_MAX ||
        b->seeds > UINT32_MAX)
        return fail(
            ERR_INPUT,
            "bootstrap: %zu methods, %zu tasks, %zu seeds, %zu replicates; it takes one of each at least",
            b->methods, b->tasks, b->seeds, b->replicates);
    if (b->levels & ~known)
        return fail(ERR_INPUT,
                    "bootstrap: levels are %u; they are a sum of tasks (1), seeds (2) and images (4)",
                    (unsigned)b->levels);
    for (size_t t = 0; t < b->tasks; t++)
        if (!b->task[t].images || !b->task[t].right)
            return fail(ERR_INPUT, "bootstrap: task %zu has no images; leave it out", t);
    return 0;
}

static int prepare(struct work *w, const struct bootstrap *b)
{
    size_t most = 0;
    for (size_t t = 0; t < b->tasks; t++) {
        size_t words = ((size_t)b->task[t].images + WORD - 1) / WORD;
        most = words > most ? words : most;
    }
    w->task = arena_alloc(&w->arena, b->tasks, sizeof *w->task);
    w->images = arena_alloc(&w->arena, most, WORD);
    w->plane = arena_alloc(&w->arena, most, PLANES * sizeof *w->plane);
    w->seeds = arena_alloc(&w->arena, b->seeds, sizeof *w->seeds);
    if (!w->task || !w->images || !w->plane || !w->seeds)
        return ERR_MEMORY;
    for (size_t t = 0; t < b->tasks; t++)
        TRY(pack_task(w, b, t));
    return 0;
}

int stats_bootstrap(const struct bootstrap *b, double *scores)
{
    TRY(refuse(b));
    struct work w = {0};
    int rc = 0;
    TRY_OUT(prepare(&w, b));
    for (size_t i = 0; i < b->replicates; i++) {
        /* a stream of its own, so that a replicate does not depend on how many there are */
        struct rng r = rng_named(b->seed, "bootstrap");
        r.stream += i;
        double *out = scores + i * b->methods;
        for (size_t m = 0; m < b->methods; m++)
            out[m] = 0;
        for (size_t t = 0; t < b->tasks; t++) {
            size_t task = b->levels & BOOTSTRAP_TASKS ? rng_below(&r, (uint32_t)b->tasks) : t;
            add_task(&w, b, task, &r, out);
        }
        for (size_t m = 0; m < b->methods; m++)
            out[m] /= (double)b->tasks;
    }
out:
    arena_finish(&w.arena);
    return rc;
}

static int smaller_first(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

struct interval stats_percentile(double *differences, size_t count, double level, double *p)
{
    qsort(differences, count, sizeof *differences, smaller_first);
    size_t down = 0, up = 0;
    for (size_t i = 0; i < count; i++) {
        down += differences[i] <= 0;
        up += differences[i] >= 0;
    }
    double n = (double)count, tail = (1 - level) / 2;
    if (p)
        *p = count ? fmin(fmax(2 * (double)(down < up ? down : up) / n, 2 / (n + 1)), 1) : NAN;
    return (struct interval){stats_quantile(differences, count, tail),
                             stats_quantile(differences, count, 1 - tail)};
}
