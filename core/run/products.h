/* products.h - the matrix products of an engine's programs, and attention's passes, which are products too: which were
 * asked for, by what kernel each is computed, and whether those kernels are right here. Beside the ladders (ladder.h,
 * attention_ladder.h), which know what there is.
 *
 * A choice comes from a tuning file where one was given (tuning.h), else from the ladder. Each kernel is held against
 * sums in double, attention on matrix units against fp32, before the first program that uses it runs: some drivers'
 * matrix units give wrong numbers. One that is wrong is told to the engine's log and not used again. */
#ifndef VITRO_RUN_PRODUCTS_H
#define VITRO_RUN_PRODUCTS_H

#include "attention_ladder.h"
#include "hash.h"
#include "json.h"
#include "ladder.h"

struct products; /* an engine's part */
int products_create(struct products **out);
void products_destroy(struct products *p);       /* NULL is fine */
void products_forget_checks(struct products *p); /* after a loss of the device */

/* How a program computes the product, or the pass. */
int products_choose(struct engine *e, const struct product *product, struct ladder_choice *out);
int products_choose_attention(struct engine *e, const struct attention_task *task,
                              struct attention_choice *out);
/* For checks and the tuner: the pass takes the choice of that text where it has it, before all else; NULL: no longer. */
void products_pin_attention(struct engine *e, enum attention_pass pass, const char *choice);
/* Attention on matrix units with heads of this width was found wrong. */
int products_attention_is_wrong(const struct engine *e, enum number number, uint32_t width);
/* Checks kernels that were chosen and not checked yet; returns how many were found wrong, or negative. */
int products_verify(struct engine *e);

/* What was asked for, each once, in order: product_text or attention_task_text. Lent. */
uint32_t products_count(const struct engine *e);
const char *products_name(const struct engine *e, uint32_t i);
/* The choices worth timing, which are the likeliest of each rung, the likeliest of all first; returns how many. */
enum { PRODUCTS_CANDIDATES = 32 };
uint32_t products_candidates(const struct engine *e, uint32_t i, char out[PRODUCTS_CANDIDATES][LADDER_TEXT]);
/* Median of `repeats` times that it takes by one of these; `slow` is time_steps' (timing.h). */
int products_time(struct engine *e, uint32_t i, const char *choice, int repeats, double slow,
                  double *seconds);
/* A fingerprint of all these and the kernels that compute them: equal ones give equal bits on one device. */
int products_digest(const struct engine *e, char text[HASH_TEXT]);

/* The products of one trial among those that an engine works for, each once, in the order in which it asked. */
struct product_list;
int product_list_create(struct product_list **out);
void product_list_destroy(struct product_list *l); /* NULL is fine */
int product_list_append(struct product_list *to, const struct product_list *from);
/* From now on what is asked for is noted there too; lent; NULL: nowhere else. */
void products_note_in(struct engine *e, struct product_list *l);
int product_list_digest(const struct product_list *l, char text[HASH_TEXT]);

/* From now on choices are taken from `choices`, an object of names and texts of choices; lent; NULL: none. */
void products_set_tuning(struct engine *e, const struct json *choices);

/* Largest error of a kernel on small random products of each layout, relative to the largest number: 1; 0 where it
 * suits none of them. */
int product_check(struct engine *e, const struct tile *tile, enum number number, double *error);
/* Largest difference of a small attention, forward and backward, from the same by the fp32 kernels, relative to the
 * largest number: 1; 0 where heads of this width are not for matrix units. */
int attention_check(struct engine *e, uint32_t width, enum number number, double *error);
/* Median of `repeats` times that the product, or the pass, takes by that choice. */
int product_time(struct engine *e, const struct product *product, const struct ladder_choice *choice,
                 int repeats, double slow, double *seconds);
int attention_time(struct engine *e, const struct attention_task *task, const char *choice, int repeats,
                   double slow, double *seconds);

#endif
