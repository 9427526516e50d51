/* report.c - fills the page's template. What the page does is in report/; here is only how its parts and the data
 * come into one file, and how the data stays data. */
#include "report.h"

#include "error.h"
#include "file.h"
#include "memory.h"

#include <string.h>

/* report_parts.S */
extern const char report_template[], report_style[], report_licence[], report_library[], report_script[];

/* marker in the template, what takes its place; the analysis where that is NULL */
static const struct {
    const char *marker, *text;
} parts[] = {
    {"@@style@@", report_style},     {"@@data@@", NULL},
    {"@@licence@@", report_licence}, {"@@library@@", report_library},
    {"@@script@@", report_script},
};
enum { PARTS = sizeof parts / sizeof *parts };

/* What may not stand inside <script type="application/json"> as it is, and the JSON escape that means the same. In
 * JSON these occur in strings alone. A less-than sign could begin `</script` or `<!--`; the two separators were not
 * allowed in JavaScript's strings before ES2019, so that a copy of the data into a script stays valid. */
static const struct {
    const char *bytes, *escape;
} escapes[] = {
    {"<", "\\u003c"},
    {">", "\\u003e"},
    {"&", "\\u0026"},
    {"\xe2\x80\xa8", "\\u2028"},
    {"\xe2\x80\xa9", "\\u2029"},
};
enum { ESCAPES = sizeof escapes / sizeof *escapes };

/* Writes what lies before the next character to escape; returns where it stopped. */
static const char *put_plain(struct file_writer *w, const char *text)
{
    const char *end = text;
    for (;;) {
        end += strcspn(end, "<>&\xe2");
        if (*end != '\xe2' || !strncmp(end, "\xe2\x80\xa8", 3) || !strncmp(end, "\xe2\x80\xa9", 3))
            break;
        end++;
    }
    file_put(w, text, (size_t)(end - text));
    return end;
}

static void put_data(struct file_writer *w, const char *text)
{
    for (text = put_plain(w, text); *text; text = put_plain(w, text))
        for (size_t i = 0; i < ESCAPES; i++) {
            size_t length = strlen(escapes[i].bytes);
            if (strncmp(text, escapes[i].bytes, length) == 0) {
                file_put(w, escapes[i].escape, strlen(escapes[i].escape));
                text += length;
                break;
            }
        }
}

/* The next marker at or after `text`: its place, and which; NULL when none is left. */
static const char *next_marker(const char *text, size_t *which)
{
    const char *first = NULL;
    for (size_t i = 0; i < PARTS; i++) {
        const char *place = strstr(text, parts[i].marker);
        if (place && (!first || place < first)) {
            first = place;
            *which = i;
        }
    }
    return first;
}

static int put_page(struct file_writer *w, const char *data)
{
    const char *text = report_template;
    size_t which = 0;
    for (const char *place; (place = next_marker(text, &which)); text = place + strlen(parts[which].marker)) {
        file_put(w, text, (size_t)(place - text));
        if (parts[which].text)
            file_put(w, parts[which].text, strlen(parts[which].text));
        else
            put_data(w, data);
    }
    return file_put(w, text, strlen(text)); /* the writer remembers an earlier failure */
}

int report_write(const struct json *analysis, const char *path)
{
    const char *schema = json_string(json_get(analysis, "schema"));
    if (!schema || strcmp(schema, "vitro.analysis/1") != 0)
        return fail(ERR_INPUT,
                    "%s: the report shows documents of the schema vitro.analysis/1; this one's is %s", path,
                    schema ? schema : "missing");
    char *data = json_text(analysis, 0);
    if (!data)
        return fail(ERR_MEMORY, "%s: out of memory for the report's data", path);
    struct file_writer *w = NULL;
    int rc = file_begin(&w, path);
    if (rc == 0) {
        put_page(w, data);
        rc = file_commit(w);
    }
    mem_free(data);
    return rc;
}
