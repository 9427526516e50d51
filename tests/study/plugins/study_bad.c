/* study_bad.c - plugins that do harm once a worker traces them, one per STUDY_BAD: the build makes a library of each.
 * The driver only declares methods, so that none of this may reach it. */
#include <vitro/sdk.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CRASH,   /* dies of a signal */
    HANG,    /* gives no sign of life */
    LATE,    /* gives signs of life and nothing else */
    HUNGRY,  /* takes memory without end */
    DIVERGE, /* its loss grows beyond all numbers */
    LEAVE_0, /* ends the process, with the status of success */
    LEAVE_1, /* with one that the program never ends with in a trial */
    LEAVE_7, /* with the one of a full disk */
    PEEK,    /* reads the test split */
    REFUSE,  /* says that it cannot go on, as a plugin should */
    KIND = STUDY_BAD
};
enum { STEP = 16 << 20, STEPS_MOST = 256 }; /* bytes; a machine whose limit fails is not to suffer for it */

struct bad {
    float scale;
    vitro_param p;
};

static const vitro_option options[] = {
    VITRO_OPT_FLOAT(struct bad, scale, 1, 0.1, 10, NULL, "has no meaning, and can be searched"),
    VITRO_OPT_END,
};

static void rest(void)
{
    const struct timespec a_moment = {.tv_nsec = 10000000};
    nanosleep(&a_moment, NULL);
}

static void hang(void)
{
    for (volatile int forever = 1; forever;)
        ;
}

static void seem_alive(void)
{
    puts("progress 0.5 as good as done");
    fflush(stdout);
    rest();
}

static void be_late(void)
{
    for (;;)
        seem_alive();
}

static void eat(void)
{
    for (int i = 0; i < STEPS_MOST; i++) {
        char *bytes = malloc(STEP);
        if (bytes)
            memset(bytes, i + 1, STEP);
        seem_alive(); /* on a busy machine memory is slow: only the limit on it is to be met */
    }
    be_late();
}

/* The pages of a pack that this process has mapped and may not touch are those of its test split. */
static int peek(void)
{
    char line[1024];
    unsigned long from;
    int sum = -1;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, ".pack") && strstr(line, " ---p ") && sscanf(line, "%lx", &from) == 1)
            sum = *(volatile unsigned char *)from;
    if (maps)
        fclose(maps);
    return sum;
}

static int declare(void *self, vitro_decl *d)
{
    struct bad *b = self;
    b->p = VITRO_PARAM(d, .name = "p", .shape = VITRO_SHAPE(d->model->dim), .wise = VITRO_TO_ZERO);
    d->hook(d, VITRO_BIT(MLP_OUT), (vitro_blocks){0, 0});
    return 0;
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct bad *b = self;
    (void)site;
    switch (KIND) {
    case CRASH: raise(SIGSEGV); break;
    case HANG: hang(); break;
    case LATE: be_late(); break;
    case HUNGRY: eat(); break;
    case LEAVE_0: exit(0);
    case LEAVE_1: exit(1);
    case LEAVE_7: exit(7);
    case PEEK:
        if (peek() < 0)
            return t->op->fail(t, "no test split that is shut is to be found");
        break;
    case REFUSE: return t->op->fail(t, "the moon is in the wrong quarter");
    default: break;
    }
    const vitro_value beyond = vitro_scale(t, vitro_scale(t, vitro_get(t, b->p), 1e30f), 1e30f * b->scale);
    return vitro_add(t, x, beyond);
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = NAME,
    .version = "0.1",
    .options = options,
    .self_size = sizeof(struct bad),
    .declare = declare,
    .forward = forward,
};
