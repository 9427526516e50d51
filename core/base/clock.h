/* clock.h - elapsed time. */
#ifndef VITRO_BASE_CLOCK_H
#define VITRO_BASE_CLOCK_H

double clock_seconds(void); /* of a clock that never goes back; only differences mean something */

#endif
