/* packing.c - see packing.h. */
#include "packing.h"

#include "error.h"

static const double start_share = 0.1; /* of a trial's time */

void packing_learn(struct packing *k, uint32_t trials, double seconds, double training)
{
    k->workers++;
    k->trials += trials;
    k->start_seconds += seconds > training ? seconds - training : 0;
    k->trial_seconds += training;
}

void packing_shrink(struct packing *k, uint32_t trials)
{
    if (!k->too_large || trials < k->too_large)
        k->too_large = trials;
}

uint32_t packing_size(const struct packing *k)
{
    uint32_t size = k->most;
    if (!size) {
        const double start = k->workers ? k->start_seconds / k->workers : 0,
                     trial = k->trials ? k->trial_seconds / k->trials : 0;
        size = start > start_share * (start + trial) ? PACKED_PAYS : 1;
    }
    const uint32_t half = k->too_large > 1 ? k->too_large / 2 : PACKED_MOST;
    return size < half ? size : half;
}

uint32_t packing_next(struct plan *p, uint32_t most, uint32_t workers, struct plan_trial *out[PACKED_MOST])
{
    const int timed = p->study->tune.seconds > 0;
    out[0] = plan_next(p, workers);
    if (!out[0])
        return 0;
    if (timed || most <= 1 || out[0]->stage == STAGE_FINAL)
        return 1;
    const uint32_t left = 1 + plan_count_beside(p, out[0]), share = (left + 2 * workers - 1) / (2 * workers);
    uint32_t count = 1;
    most = share < most ? share : most;
    while (count < most && (out[count] = plan_next_beside(p, out[0])))
        count++;
    return count;
}

int packing_write(const struct store *s, struct plan_trial *const *trials, uint32_t count,
                  char path[STORE_PATH])
{
    struct json *j = json_object(), *jobs = json_array();
    char job[STORE_PATH];
    int rc = json_take(j, "jobs", jobs);
    if (rc == 0)
        rc = json_set_string(j, "schema", "vitro.packed/1");
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        rc = store_path(s, STORE_WORK, trials[i]->id, "job.json", job);
        if (rc == 0)
            rc = json_append_string(jobs, job);
    }
    if (rc == 0)
        rc = store_path(s, STORE_WORK, trials[0]->id, "packed.json", path);
    if (rc == 0)
        rc = json_write_file(j, path);
    json_destroy(j);
    return rc;
}
