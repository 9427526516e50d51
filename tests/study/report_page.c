/* report_page.c - writes the report page of a stored analysis document: report_page ANALYSIS.json PAGE.html */
#include "error.h"
#include "json.h"
#include "report.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct json *analysis = NULL;
    if (argc != 3) {
        fprintf(stderr, "usage: report_page ANALYSIS.json PAGE.html\n");
        return 2;
    }
    int rc = json_read_file(&analysis, argv[1]);
    if (rc == 0)
        rc = report_write(analysis, argv[2]);
    if (rc)
        fprintf(stderr, "report_page: %s\n", error_text());
    json_destroy(analysis);
    return -rc;
}
