/* machine.h - what a verb works with: the device with its kernels, the plugins, and where this program's
 * own files lie. */
#ifndef VITRO_DRIVER_MACHINE_H
#define VITRO_DRIVER_MACHINE_H

#include "driver.h"
#include "engine.h"
#include "plugin.h"
#include "tuning.h"

struct machine { /* a zeroed one is closed */
    struct device *device;
    struct engine *engine;
    struct tuning *tuning; /* what the engine's products are computed by; NULL: untuned */
    struct plugins *plugins; /* NULL until someone opens them */
};
int machine_open(struct machine *m, const struct settings *s);
/* What the validation layers have to say about everything so far; negative with the sentence. */
int machine_check(const struct machine *m);
void machine_close(struct machine *m); /* everything made on it must be gone */

/* From the folders of --plugin-path, and those of VITRO_PLUGIN_PATH or else the user's and the program's own.
 * Log lines go to stderr: errors and warnings, and the rest with --verbose. */
int open_plugins(struct plugins **out, const struct settings *s);

/* The folder that holds the program, without a final slash. */
enum { PATH_SIZE = 4096, PATH_TAIL = 64 };
int program_folder(char out[PATH_SIZE]);
/* The user's folder of plugins, which need not be there; "" where none is known. */
void user_plugins(char out[PATH_SIZE + PATH_TAIL]);

#endif
