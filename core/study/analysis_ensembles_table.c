/* analysis_ensembles_table.c - the ensembles' outcomes hung into the document. */
#include "analysis_ensembles.h"

#include "error.h"

static const char *const kinds[] = {"all", "greedy", "pair", "seeds"};
static const char *const rules[] = {"logits", "probabilities", "vote"};

static int put_gain(struct json *object, const char *value, const char *low, const char *high,
                    const struct gain *g)
{
    TRY(json_set_number(object, value, g->value));
    return analysis_interval(object, low, high, g->interval);
}

static int put_row(struct json *rows, const struct definition *d, const struct outcome *o)
{
    struct json *row;
    TRY(analysis_object(&row, rows, NULL));
    TRY(json_set_string(row, "kind", kinds[d->kind]));
    TRY(json_set_string(row, "rule", rules[d->rule]));
    TRY(analysis_indices(row, "members", o->members, o->member_count));
    TRY(json_set_integer(row, "size", o->size));
    TRY(json_set_number(row, "accuracy", o->accuracy));
    TRY(analysis_interval(row, "low", "high", o->interval));
    TRY(put_gain(row, "gain_over_val_single", "gain_low", "gain_high", &o->over_single));
    TRY(json_set_number(row, "gain_over_best_single", o->over_best));
    return put_gain(row, "gain_over_seeds", "gain_over_seeds_low", "gain_over_seeds_high", &o->over_seeds);
}

int ensemble_put_pack(struct analysis *a, struct json *packs, const struct work *w, const struct plan *plan)
{
    const struct answers *s = &a->answers[w->pack];
    int chosen = w->chosen.candidates > 0;
    struct json *object, *rows;
    TRY(analysis_object(&object, packs, NULL));
    TRY(json_set_integer(object, "pack", w->pack));
    TRY(json_set_integer(object, "best_single", w->best_single));
    TRY(json_set_number(object, "best_single_accuracy", w->best));
    TRY(json_set_number(object, "val_single", chosen ? (double)w->chosen.single : NAN));
    TRY(json_set_number(object, "val_single_accuracy", chosen ? s->mean[w->chosen.single] : NAN));
    TRY(json_set_number(object, "worst_single_accuracy", w->worst));
    TRY(json_set_number(object, "mean_single_accuracy", w->mean));
    TRY(analysis_indices(object, "path", w->chosen.path, w->chosen.steps));
    TRY(analysis_array(&rows, object, "rows"));
    for (uint32_t i = 0; i < plan->count; i++)
        if (w->outcomes[i].there)
            TRY(put_row(rows, &plan->rows[i], &w->outcomes[i]));
    return 0;
}

/* A mean of rows is there when every pack of the basis has the row. */
int ensemble_put_mean(struct analysis *a, struct json *means, const struct work *works, uint32_t row,
                      const struct definition *d)
{
    uint32_t packs = a->whole.count, there = 0;
    double accuracy = 0, over_single = 0, over_best = 0, over_seeds = 0;
    struct json *object;
    for (uint32_t i = 0; i < packs; i++) {
        const struct outcome *o = &works[i].outcomes[row];
        there += o->there != 0;
        accuracy += o->accuracy / packs;
        over_single += o->over_single.value / packs;
        over_best += o->over_best / packs;
        over_seeds += o->over_seeds.value / packs;
    }
    if (there == 0 || there < packs)
        return 0;
    TRY(analysis_object(&object, means, NULL));
    TRY(json_set_string(object, "kind", kinds[d->kind]));
    TRY(json_set_string(object, "rule", rules[d->rule]));
    TRY(json_set_number(object, "size", d->kind == KIND_SEEDS ? (double)d->size : NAN));
    TRY(json_set_number(object, "accuracy", accuracy));
    TRY(json_set_number(object, "gain_over_val_single", over_single));
    TRY(json_set_number(object, "gain_over_best_single", over_best));
    return json_set_number(object, "gain_over_seeds", over_seeds);
}

int ensemble_put_size_curve(struct analysis *a, struct json *section, const struct work *works)
{
    uint32_t packs = a->whole.count, steps = packs ? works[0].chosen.steps : 0;
    struct json *curve, *point;
    for (uint32_t i = 1; i < packs; i++)
        steps = works[i].chosen.steps < steps ? works[i].chosen.steps : steps;
    TRY(analysis_array(&curve, section, "size_curve"));
    for (uint32_t k = 0; k < steps; k++) {
        double accuracy = 0;
        for (uint32_t i = 0; i < packs; i++)
            accuracy += works[i].size_accuracy[k] / packs;
        TRY(analysis_object(&point, curve, NULL));
        TRY(json_set_integer(point, "size", (int64_t)k + 1));
        TRY(json_set_number(point, "accuracy", accuracy));
    }
    return 0;
}
