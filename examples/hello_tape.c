/* hello_tape.c - the core in one page: trace a function, derive it, run both on Vulkan and in double.
 *
 * The function is the loss of a linear layer with GELU, the mean of gelu(x W^T + b); x is given, W and b
 * are trainable. Prints the loss and the gradient of b from the device beside the reference's. */
#include "check.h"
#include "error.h"
#include "ref.h"
#include "run.h"

#include <math.h>
#include <stdio.h>

enum { ROWS = 4, IN = 6, OUT = 3 };

static float number(int i)
{
    return 0.5f * sinf((float)(i + 1));
}

static int hello(struct engine *engine)
{
    int rc;
    struct bank *bank = NULL;
    struct run *run = NULL;
    struct ref *ref = NULL;
    float x_data[ROWS * IN], w_data[OUT * IN], b_data[OUT], loss_got, b_grad[OUT];
    struct tape *t = tape_create();
    if (!t)
        return ERR_MEMORY;

    /* trace: leaves, then arithmetic; nothing is computed yet */
    value x = tape_leaf(t, LEAF_INPUT, SHAPE(ROWS, IN), 2, "x");
    value w = tape_leaf(t, LEAF_TRAINABLE, SHAPE(OUT, IN), 0, "W");
    value b = tape_leaf(t, LEAF_TRAINABLE, SHAPE(OUT), 1, "b");
    value y = tape_unary(t, tape_add(t, tape_matmul(t, x, w, 0, 1), b), UNARY_GELU);
    value loss =
        tape_affine(t, tape_sum(t, tape_reshape(t, y, SHAPE(ROWS * OUT)), 1), 1.0f / (ROWS * OUT), 0);

    /* derive: more of the same operations, behind the ones that are there */
    value leaves[2] = {w, b}, grads[2];
    TRY_OUT(tape_backward(t, loss, leaves, 2, grads));

    /* run: trainable tensors live in a bank; the program puts their gradients beside them */
    const struct bank_tensor tensors[2] = {
        {.name = "W", .shape = SHAPE(OUT, IN), .kind = LEAF_TRAINABLE, .lr_mul = 1},
        {.name = "b", .shape = SHAPE(OUT), .kind = LEAF_TRAINABLE, .lr_mul = 1}};
    const struct run_gradient gradients[2] = {{0, grads[0]}, {1, grads[1]}};
    TRY_OUT(bank_create(&bank, engine, tensors, 2));
    TRY_OUT(run_create(&run, &(struct run_spec){.tape = t,
                                                .bank = bank,
                                                .gradients = gradients,
                                                .gradient_count = 2,
                                                .logs = &loss,
                                                .log_count = 1,
                                                .series = 1}));
    value roots[3] = {loss, grads[0], grads[1]};
    TRY_OUT(ref_create(&ref, t, roots, 3));
    for (int i = 0; i < ROWS * IN; i++)
        ref_leaf(ref, x)[i] = (double)(x_data[i] = number(i));
    for (int i = 0; i < OUT * IN; i++)
        ref_leaf(ref, w)[i] = (double)(w_data[i] = number(i + 50));
    for (int i = 0; i < OUT; i++)
        ref_leaf(ref, b)[i] = (double)(b_data[i] = number(i + 90));
    TRY_OUT(run_write(run, x, x_data));
    TRY_OUT(bank_write(bank, 0, w_data));
    TRY_OUT(bank_write(bank, 1, b_data));
    TRY_OUT(run_begin(run, &(struct run_series){.steps = 1}));
    TRY_OUT(run_go(run, 1));
    TRY_OUT(run_wait(run, 0));
    TRY_OUT(run_log(run, 0, 0, 1, &loss_got));
    TRY_OUT(bank_read_gradient(bank, 1, b_grad));
    TRY_OUT(ref_run(ref));

    printf("%-10s %12s %12s\n", "", "device", "reference");
    printf("%-10s %12.8f %12.8f\n", "loss", (double)loss_got, ref_value(ref, loss)[0]);
    for (int i = 0; i < OUT; i++)
        printf("d loss/db%d %12.8f %12.8f\n", i, (double)b_grad[i], ref_value(ref, grads[1])[i]);
out:
    ref_destroy(ref);
    run_destroy(run);
    bank_destroy(bank);
    tape_destroy(t);
    return rc;
}

int main(void)
{
    struct device *device = NULL;
    struct engine *engine = NULL;
    int rc = device_open(&device, &(struct device_spec){.index = -1});
    if (rc == 0)
        rc = engine_create(&engine, device, ENGINE_AUTO);
    if (rc == 0)
        rc = hello(engine);
    if (rc < 0)
        fprintf(stderr, "hello_tape: %s\n", error_text());
    engine_destroy(engine);
    device_close(device);
    return -rc;
}
