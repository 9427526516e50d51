/* report.h - the report page: one HTML file that opens from disk, without network, and holds its own data. */
#ifndef VITRO_STUDY_REPORT_H
#define VITRO_STUDY_REPORT_H

#include "json.h"

/* Writes the page of an analysis document (docs/analysis.md) to `path`, whole or not at all. Text of the document
 * enters the page as data only: no name, reason or sentence in it can become markup or script. */
int report_write(const struct json *analysis, const char *path);

#endif
