/* study_show.h - how far a study is, as a document and as a table. */
#ifndef VITRO_DRIVER_STUDY_SHOW_H
#define VITRO_DRIVER_STUDY_SHOW_H

#include "json.h"
#include "plan.h"

int study_show(struct json *document, const struct plan *plan);
int study_print(const struct json *document);
int study_print_plan(const struct json *document); /* and what is searched */

#endif
