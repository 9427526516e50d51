/* progress.h - one bar on stderr while something takes long, drawn only on a terminal, with rate and
 * time left; and the wish to stop (Ctrl-C), which work looks for at its own pace. */
#ifndef VITRO_DRIVER_PROGRESS_H
#define VITRO_DRIVER_PROGRESS_H

#include <stddef.h>

struct progress {
    char label[64];
    const char *unit; /* "images"; NULL: no rate is shown */
    double total, done;
    double began, drawn; /* of clock_seconds() */
    double began_at;     /* of done, when the rate began to count */
    int shown;           /* stderr is a terminal */
};

/* Without a total (0) only label and note are shown. */
void progress_begin(struct progress *p, const char *label, const char *unit, double total);
/* `note` is shown behind the bar: "loss 1.23"; may be "". */
void progress_show(struct progress *p, double done, const char *note);
void progress_end(struct progress *p); /* clears the line; a zeroed struct is fine */

/* From here on Ctrl-C and SIGTERM are only remembered; a second one ends the program as usual. */
void stop_watch(void);
int stop_wanted(void);

/* For pack_build and pack_builtin: context is a begun struct progress. */
int progress_pack(void *context, size_t done, size_t total);

#endif
