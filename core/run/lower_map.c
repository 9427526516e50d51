/* lower_map.c - ops that treat elements one by one and ops that move them: all map.comp. */
#include "program.h"

#include "error.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 1024, GROUPS_MAX = 65535 };

/* Drops axes of 1 and merges neighbours that all three operands walk through alike; the rest ends up
 * at the back, with 1s in front. */
static struct view merged(const struct view *v)
{
    struct view m = {.size = {1, 1, 1, 1}};
    int at = SHAPE_RANK; /* the outermost axis so far */
    for (int i = SHAPE_RANK - 1; i >= 0; i--) {
        if (v->size[i] == 1)
            continue;
        if (at < SHAPE_RANK && v->out[i] == m.out[at] * m.size[at] && v->a[i] == m.a[at] * m.size[at] &&
            v->b[i] == m.b[at] * m.size[at]) {
            m.size[at] *= v->size[i];
            continue;
        }
        at--;
        m.size[at] = v->size[i];
        m.out[at] = v->out[i];
        m.a[at] = v->a[i];
        m.b[at] = v->b[i];
    }
    if (m.size[SHAPE_RANK - 1] == 1) /* a single element */
        m.out[SHAPE_RANK - 1] = 1;
    return m;
}

static uint32_t step_of(int64_t stride)
{
    return stride == 0 ? 0 : stride == 1 ? 1 : 2;
}

static int rows_at_multiples(const int64_t stride[SHAPE_RANK], int64_t of)
{
    for (int i = 0; i < SHAPE_RANK - 1; i++)
        if (stride[i] % of)
            return 0;
    return 1;
}

/* One dispatch: rows from .. from + count of axis 2, planes likewise of axis 1. */
static void map_piece(struct program *p, const struct map_work *m, const struct view *v, int64_t plane,
                      int64_t planes, int64_t row, int64_t rows)
{
    struct push_map push = {
        .scale = m->scale, .shift = m->shift, .stream = m->stream, .threshold = m->threshold};
    for (int i = 0; i < SHAPE_RANK; i++) {
        push.size[i] = (uint32_t)v->size[i];
        push.out_stride[i] = (uint32_t)v->out[i];
        push.a_stride[i] = (uint32_t)v->a[i];
        push.b_stride[i] = (uint32_t)v->b[i];
    }
    push.size[1] = (uint32_t)planes;
    push.size[2] = (uint32_t)rows;
    int64_t b = plane * v->b[1] + row * v->b[2];
    push.first_draw = m->first_draw + (m->map == MAP_DROPOUT ? (uint32_t)b : 0);
    const int64_t to = plane * v->out[1] + row * v->out[2];
    const struct ref refs[] = {ref_at(m->out, m->halves ? to / 2 : to),
                               ref_at(m->a, plane * v->a[1] + row * v->a[2]),
                               m->b.slot ? ref_at(m->b, b) : (struct ref){0},
                               m->map == MAP_DROPOUT ? (struct ref){p->control, 0} : (struct ref){0},
                               m->then ? ref_at(m->c, m->c_as_b ? b : to) : (struct ref){0}};
    const uint32_t groups[3] = {(uint32_t)((v->size[3] + CHUNK - 1) / CHUNK), (uint32_t)rows,
                                (uint32_t)(v->size[0] * planes)};
    struct work *w = program_emit(p, SHADER_MAP, &push, sizeof push, refs, 5, 1, groups);
    const uint32_t constants[] = {m->map,
                                  (uint32_t)m->fn,
                                  step_of(v->a[3]),
                                  step_of(v->b[3]),
                                  step_of(v->out[3]) == 1 ? 1 : 2,
                                  CHUNK,
                                  m->then,
                                  (uint32_t)m->c_as_b,
                                  v->out[3] == 1 && refs[0].offset % 8 == 0 && rows_at_multiples(v->out, 2),
                                  m->map == MAP_DROPOUT && v->b[3] == 1 && push.first_draw % 4 == 0 &&
                                      rows_at_multiples(v->b, 4),
                                  (uint32_t)(m->halves ? p->number : NUMBER_FP32)};
    memcpy(w->constants, constants, sizeof constants);
    w->constant_count = sizeof constants / sizeof *constants;
    double elements = (double)v->size[0] * (double)planes * (double)rows * (double)v->size[3];
    w->bytes = elements * 4 *
               ((m->halves ? 0.5 : 1) + (m->a.slot != 0 && v->a[3]) + (m->b.slot != 0 && v->b[3]) +
                (m->then && (!m->c_as_b || v->b[3])));
}

void map_emit(struct program *p, const struct map_work *m)
{
    struct view v = merged(&m->view);
    /* planes and rows in pieces that any device's grid holds */
    int64_t planes_max = GROUPS_MAX / v.size[0];
    for (int64_t plane = 0; plane < v.size[1]; plane += planes_max)
        for (int64_t row = 0; row < v.size[2]; row += GROUPS_MAX) {
            int64_t planes = v.size[1] - plane < planes_max ? v.size[1] - plane : planes_max;
            int64_t rows = v.size[2] - row < GROUPS_MAX ? v.size[2] - row : GROUPS_MAX;
            map_piece(p, m, &v, plane, planes, row, rows);
        }
}

/* A shape's axes moved to the back of four; strides are the row-major ones, 0 where it is stretched to
 * `to`. */
static void strides(struct shape s, struct shape to, int64_t stride[SHAPE_RANK])
{
    int64_t n = 1;
    memset(stride, 0, SHAPE_RANK * sizeof *stride);
    for (int k = 1; k <= s.rank; k++) {
        int64_t size = s.dim[s.rank - k];
        stride[SHAPE_RANK - k] = size == 1 && to.dim[to.rank - k] != 1 ? 0 : n;
        n *= size;
    }
}

static void sizes(struct shape s, int64_t size[SHAPE_RANK])
{
    for (int k = 1; k <= SHAPE_RANK; k++)
        size[SHAPE_RANK - k] = k <= s.rank ? s.dim[s.rank - k] : 1;
}

/* The whole of v is what the map gives. */
static void put_result(struct program *p, value v, struct map_work *m)
{
    const struct view w = merged(&m->view);
    const int in_pairs = w.out[3] == 1 && w.size[3] % 2 == 0 && rows_at_multiples(w.out, 2);
    m->out = program_result(p, v, in_pairs, &m->halves);
}

/* The map goes on with c, which lies as the result does, or as the map's own second operand does. */
static void go_on(struct program *p, value v, value u, struct map_work *m)
{
    const value c = other_operand(p, u, v);
    m->then = tape_node(p->tape, u)->op == OP_ADD ? MAP_ADD : MAP_MUL;
    m->c = program_value(p, c);
    m->c_as_b = shape_count(tape_shape(p->tape, c)) != shape_count(tape_shape(p->tape, u));
}

/* v = f of its operands, and, where p->now is another value, what that one makes of v. */
static void lower_elements(struct program *p, value v, const struct node *n, struct map_work m)
{
    sizes(n->shape, m.view.size);
    strides(n->shape, n->shape, m.view.out);
    if (p->chained[p->now] == v)
        go_on(p, v, p->now, &m);
    if (op_arity[n->op] > 0) {
        strides(tape_shape(p->tape, n->in[0]), n->shape, m.view.a);
        m.a = program_value(p, n->in[0]);
    }
    if (op_arity[n->op] > 1) {
        strides(tape_shape(p->tape, n->in[1]), n->shape, m.view.b);
        m.b = program_value(p, n->in[1]);
    } else if (m.map != MAP_DROPOUT) {
        memcpy(m.view.b, m.view.a, sizeof m.view.b);
    }
    put_result(p, m.then ? p->now : v, &m);
    map_emit(p, &m);
}

void lower_leaf(struct program *p, value v, const struct node *n)
{
    (void)n;
    program_value(p, v);
}

void lower_fill(struct program *p, value v, const struct node *n)
{
    lower_elements(p, v, n, (struct map_work){.map = MAP_FILL, .shift = n->attr.fill.value});
}

void lower_add(struct program *p, value v, const struct node *n)
{
    lower_elements(p, v, n, (struct map_work){.map = MAP_ADD});
}

void lower_mul(struct program *p, value v, const struct node *n)
{
    lower_elements(p, v, n, (struct map_work){.map = MAP_MUL});
}

void lower_affine(struct program *p, value v, const struct node *n)
{
    lower_elements(
        p, v, n,
        (struct map_work){.map = MAP_AFFINE, .scale = n->attr.affine.scale, .shift = n->attr.affine.shift});
}

void lower_unary(struct program *p, value v, const struct node *n)
{
    lower_elements(p, v, n, (struct map_work){.map = MAP_UNARY, .fn = n->attr.unary.fn});
}

void lower_unary_back(struct program *p, value v, const struct node *n)
{
    lower_elements(p, v, n, (struct map_work){.map = MAP_UNARY_BACK, .fn = n->attr.unary.fn});
}

void lower_expand(struct program *p, value v, const struct node *n)
{
    lower_elements(p, v, n, (struct map_work){.map = MAP_COPY});
}

/* The draws are counted along the axes that have their own: strides like any operand's, those of the value
 * that the dropout was of before rows were cut off. */
void lower_dropout(struct program *p, value v, const struct node *n)
{
    const struct dropout *d = &n->attr.dropout;
    float keep = 1 - d->p;
    struct map_work m = {.map = MAP_DROPOUT,
                         .scale = 1 / keep,
                         .stream = d->stream,
                         .threshold = (uint32_t)((double)d->p * 4294967296.0)};
    int64_t draws = 1;
    for (int k = n->shape.rank - 1; k >= 0; k--) {
        int part = d->total && d->axis == k;
        if (!(d->axes >> k & 1))
            continue;
        m.view.b[SHAPE_RANK - n->shape.rank + k] = draws;
        m.first_draw += part ? (uint32_t)(d->from * draws) : 0;
        draws *= part ? d->total : n->shape.dim[k];
    }
    lower_elements(p, v, n, m);
}

/* Renamings: the slot is the operand's. */
void lower_reshape(struct program *p, value v, const struct node *n)
{
    (void)p, (void)v, (void)n;
}

void lower_detach(struct program *p, value v, const struct node *n)
{
    (void)p, (void)v, (void)n;
}

void lower_hooked(struct program *p, value v, const struct node *n)
{
    (void)p, (void)v, (void)n;
}

void lower_permute(struct program *p, value v, const struct node *n)
{
    struct shape from = tape_shape(p->tape, n->in[0]);
    struct map_work m = {.map = MAP_COPY, .a = program_value(p, n->in[0])};
    int64_t in[SHAPE_RANK];
    sizes(n->shape, m.view.size);
    strides(n->shape, n->shape, m.view.out);
    strides(from, from, in);
    int shift = SHAPE_RANK - from.rank;
    for (int k = 0; k < from.rank; k++)
        m.view.a[shift + k] = in[shift + n->attr.permute.axes[k]];
    memcpy(m.view.b, m.view.a, sizeof m.view.b);
    put_result(p, v, &m);
    map_emit(p, &m);
}

/* Copies a box of shape `box` between two row-major tensors, from an offset along one axis of each. */
static void copy_box(struct program *p, struct shape box, struct ref out, struct shape out_shape,
                     int64_t out_from, struct ref a, struct shape a_shape, int64_t a_from, int axis)
{
    struct map_work m = {.map = MAP_COPY};
    int at = SHAPE_RANK - box.rank + axis;
    sizes(box, m.view.size);
    strides(out_shape, out_shape, m.view.out);
    strides(a_shape, a_shape, m.view.a);
    m.out = ref_at(out, out_from * m.view.out[at]);
    m.a = ref_at(a, a_from * m.view.a[at]);
    memcpy(m.view.b, m.view.a, sizeof m.view.b);
    map_emit(p, &m);
}

void lower_slice(struct program *p, value v, const struct node *n)
{
    copy_box(p, n->shape, program_value(p, v), n->shape, 0, program_value(p, n->in[0]),
             tape_shape(p->tape, n->in[0]), n->attr.slice.from, n->attr.slice.axis);
}

void lower_concat(struct program *p, value v, const struct node *n)
{
    int axis = n->attr.concat.axis;
    int64_t from = 0;
    for (int i = 0; i < 2; i++) {
        struct shape s = tape_shape(p->tape, n->in[i]);
        copy_box(p, s, program_value(p, v), n->shape, from, program_value(p, n->in[i]), s, 0, axis);
        from += s.dim[axis];
    }
}

/* Zeros in a box that starts at `from` along an axis of the output. */
static void zero_box(struct program *p, struct shape box, struct ref out, struct shape out_shape,
                     int64_t from, int axis)
{
    struct map_work m = {.map = MAP_FILL};
    if (box.dim[axis] == 0)
        return;
    sizes(box, m.view.size);
    strides(out_shape, out_shape, m.view.out);
    memcpy(m.view.a, m.view.out, sizeof m.view.a);
    memcpy(m.view.b, m.view.out, sizeof m.view.b);
    m.out = ref_at(out, from * m.view.out[SHAPE_RANK - box.rank + axis]);
    map_emit(p, &m);
}

void lower_pad(struct program *p, value v, const struct node *n)
{
    struct shape s = tape_shape(p->tape, n->in[0]), box = s;
    int axis = n->attr.pad.axis, before = n->attr.pad.before;
    struct ref out = program_value(p, v);
    copy_box(p, s, out, n->shape, before, program_value(p, n->in[0]), s, 0, axis);
    box.dim[axis] = before;
    zero_box(p, box, out, n->shape, 0, axis);
    box.dim[axis] = n->shape.dim[axis] - before - s.dim[axis];
    zero_box(p, box, out, n->shape, before + s.dim[axis], axis);
}
