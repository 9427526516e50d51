/* study_work.h - a study's run as a person sees it: the bar, the news, and how it ended. */
#ifndef VITRO_DRIVER_STUDY_WORK_H
#define VITRO_DRIVER_STUDY_WORK_H

#include "driver.h"
#include "store.h"
#include "study.h"

/* Runs what is left of the study. 0 when all is done; what failed is told and is no error. */
int study_work(const struct study *study, struct store *store, const struct settings *s);

#endif
