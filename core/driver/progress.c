/* progress.c - see progress.h. */
#include "progress.h"

#include "clock.h"
#include "driver.h"
#include "table.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR = 24 };
static const double redraw_seconds = 0.1;

static volatile sig_atomic_t stop_signal;

static void remember(int number)
{
    stop_signal = number;
}

void stop_watch(void)
{
    struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int stop_wanted(void)
{
    return stop_signal != 0;
}

static int terminal_width(void)
{
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void progress_begin(struct progress *p, const char *label, const char *unit, double total)
{
    const char *terminal = getenv("TERM");
    *p = (struct progress){.unit = unit, .total = total, .began = clock_seconds()};
    snprintf(p->label, sizeof p->label, "%s", label);
    p->shown = isatty(STDERR_FILENO) && !(terminal && strcmp(terminal, "dumb") == 0);
    progress_show(p, 0, "");
}

/* "1:05", "2:03:04" */
static void clock_text(double seconds, char *text, size_t size)
{
    long whole = lround(seconds);
    if (whole >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(text, size, "%ld:%02ld", whole / 60, whole % 60);
}

static void draw(const struct progress *p, const char *note)
{
    char line[512], left[32] = "", rate[64] = "", bar[BAR + 1];
    double share = p->total > 0 ? fmin(1, p->done / p->total) : 0, spent = p->drawn - p->began;
    double gained = p->done - p->began_at;
    int full = (int)(share * BAR);
    for (int i = 0; i < BAR; i++)
        bar[i] = i < full ? '=' : i == full ? '>' : ' ';
    bar[BAR] = 0;
    if (spent > 0.5 && gained > 0) {
        char clock[24];
        clock_text(spent * (p->total - p->done) / gained, clock, sizeof clock);
        snprintf(left, sizeof left, "  %s left", clock);
        if (p->unit)
            snprintf(rate, sizeof rate, "  %.0f %s/s", gained / spent, p->unit);
    }
    if (p->total > 0)
        snprintf(line, sizeof line, "%s [%s] %3.0f %%%s%s%s%s", p->label, bar, floor(share * 100), rate, left,
                 *note ? "  " : "", note);
    else
        snprintf(line, sizeof line, "%s ... %s", p->label, note);
    int width = terminal_width() - 1, used = text_width(line);
    fprintf(stderr, "\r%.*s\033[K", used > width ? width : (int)strlen(line), line);
    fflush(stderr);
}

void progress_show(struct progress *p, double done, const char *note)
{
    p->done = done;
    if (!p->shown || (p->drawn > 0 && clock_seconds() - p->drawn < redraw_seconds))
        return;
    p->drawn = clock_seconds();
    draw(p, note);
}

void progress_end(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = 0;
}

int progress_pack(void *context, size_t done, size_t total)
{
    struct progress *p = context;
    p->total = (double)total;
    progress_show(p, (double)done, "");
    return stop_wanted();
}
