/* test_report.c - the report page is whole or absent, gives its data back, and takes no text for markup. */
#include "error.h"
#include "file.h"
#include "json.h"
#include "memory.h"
#include "report.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGE_LIMIT = 64 << 20 };
static const char data_begins[] = "<script type=\"application/json\" id=\"analysis\">";

static char folder[64];

static int enter_folder(void **state)
{
    (void)state;
    strcpy(folder, "vitro_report_XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return chdir("..") == 0 && system(command) == 0 ? 0 : -1;
}

static int entries(void)
{
    int n = 0;
    DIR *d = opendir(".");
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (text = strstr(text, what); text; text = strstr(text + 1, what))
        n++;
    return n;
}

/* The page of a document, as text that the caller frees. */
static char *page_of(const struct json *analysis)
{
    char *page = NULL;
    size_t size = 0;
    assert_int_equal(report_write(analysis, "page.html"), 0);
    assert_int_equal(file_read("page.html", PAGE_LIMIT, &page, &size), 0);
    assert_int_equal(strlen(page), size);
    unlink("page.html");
    return page;
}

/* What a browser finds in the element of the data: it ends at the first `</script`. */
static void assert_gives_back(const char *page, const struct json *analysis)
{
    const char *data = strstr(page, data_begins);
    assert_non_null(data);
    data += strlen(data_begins);
    const char *end = strstr(data, "</script");
    assert_non_null(end);
    struct json *read = NULL;
    assert_int_equal(json_parse(&read, data, (size_t)(end - data), "the page's data"), 0);
    char *want = json_text(analysis, 0), *got = json_text(read, 0);
    assert_string_equal(got, want);
    mem_free(want);
    mem_free(got);
    json_destroy(read);
}

static struct json *document(const char *name)
{
    struct json *analysis = json_object(), *study = json_object();
    assert_int_equal(json_set_string(analysis, "schema", "vitro.analysis/1"), 0);
    assert_int_equal(json_set_string(study, "name", name), 0);
    assert_int_equal(json_take(analysis, "study", study), 0);
    return analysis;
}

static void the_page_gives_back_the_document_it_was_made_of(void **state)
{
    (void)state;
    struct json *analysis = NULL;
    assert_int_equal(json_read_file(&analysis, SAMPLE), 0);
    char *page = page_of(analysis);
    assert_gives_back(page, analysis);
    mem_free(page);
    json_destroy(analysis);
}

static void hostile_text_stays_data(void **state)
{
    (void)state;
    static const char *const names[] = {
        "</script><script>alert(1)</script>",
        "</SCRIPT ><img src=x onerror=alert(1)>",
        "<!--<script>",
        "--> ]]> <![CDATA[",
        "a\xe2\x80\xa8"
        "b\xe2\x80\xa9"
        "c\xe2\x82\xac",
        "&lt;b&gt; &amp; \"quoted\" 'single' \\ back",
        "@@script@@ @@data@@",
        "\x01\x1f\x7f tab\t line\n",
        "\xe2\x80",
        "<",
        "",
    };
    struct json *harmless = document("harmless");
    char *page = page_of(harmless);
    const size_t ends = count(page, "</script"), begins = count(page, "<script"),
                 comments = count(page, "<!--");
    json_destroy(harmless);
    mem_free(page);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct json *analysis = document(names[i]);
        assert_int_equal(json_set_string(analysis, names[i], names[i]), 0);
        page = page_of(analysis);
        assert_int_equal(count(page, "</script"), ends);
        assert_int_equal(count(page, "<script"), begins);
        assert_int_equal(count(page, "<!--"), comments);
        assert_int_equal(count(page, "<img"), 0);
        assert_int_equal(count(page, "\xe2\x80\xa8"), 0);
        assert_gives_back(page, analysis);
        mem_free(page);
        json_destroy(analysis);
    }
}

static void the_page_is_one_file_and_asks_nothing_of_the_network(void **state)
{
    (void)state;
    struct json *analysis = document("alone");
    char *page = page_of(analysis);
    static const char *const outside[] = {
        "<link", "<img", "<iframe", "src=", "@import", "url(http", "url(//", "href=\"http"};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        assert_int_equal(count(page, outside[i]), 0);
    assert_int_equal(count(page, "default-src 'none'"), 1);
    assert_int_equal(count(page, "@@"), 0);
    assert_non_null(strstr(page, "Michael Bostock"));
    assert_non_null(strstr(page, "var d3={version:\"3.")); /* the library is inside, with its licence */
    mem_free(page);
    json_destroy(analysis);
}

static void a_full_disk_leaves_no_page(void **state)
{
    (void)state;
    struct json *analysis = document("<<<>>>&&&");
    int rc = ERR_IO;
    long after = 0;
    for (; rc; after++) { /* until it has as many writes as it needs */
        assert_true(after < 100);
        file_fail_after(after);
        rc = report_write(analysis, "page.html");
        if (rc) {
            assert_int_equal(rc, ERR_IO);
            assert_non_null(strstr(error_text(), "page.html"));
            assert_non_null(strstr(error_text(), "No space left"));
            assert_int_equal(entries(), 0);
        }
    }
    file_fail_after(-1);
    assert_true(after > 10);
    assert_int_equal(entries(), 1);
    unlink("page.html");
    json_destroy(analysis);
}

static void a_full_disk_leaves_the_old_page(void **state)
{
    (void)state;
    struct json *analysis = document("new");
    assert_int_equal(file_write("page.html", "old", 3), 0);
    file_fail_after(2);
    assert_int_equal(report_write(analysis, "page.html"), ERR_IO);
    file_fail_after(-1);
    char *page = NULL;
    size_t size = 0;
    assert_int_equal(file_read("page.html", PAGE_LIMIT, &page, &size), 0);
    assert_string_equal(page, "old");
    mem_free(page);
    unlink("page.html");
    json_destroy(analysis);
}

static void every_failed_allocation_is_told(void **state)
{
    (void)state;
    struct json *analysis = document("memory");
    int rc = -1;
    for (long after = 0; rc; after++) {
        assert_true(after < 1000);
        mem_fail_after(after);
        rc = report_write(analysis, "page.html");
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
        assert_int_equal(entries(), rc == 0);
    }
    unlink("page.html");
    json_destroy(analysis);
}

static void other_documents_are_refused(void **state)
{
    (void)state;
    struct json *other = json_object();
    assert_int_equal(report_write(other, "page.html"), ERR_INPUT);
    assert_non_null(strstr(error_text(), "missing"));
    assert_int_equal(json_set_string(other, "schema", "vitro.recipe/1"), 0);
    assert_int_equal(report_write(other, "page.html"), ERR_INPUT);
    assert_non_null(strstr(error_text(), "vitro.recipe/1"));
    assert_int_equal(report_write(NULL, "page.html"), ERR_INPUT);
    struct json *analysis = document("nowhere");
    assert_int_equal(report_write(analysis, "no/such/folder/page.html"), ERR_IO);
    assert_int_equal(entries(), 0);
    json_destroy(analysis);
    json_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_gives_back_the_document_it_was_made_of),
        cmocka_unit_test(hostile_text_stays_data),
        cmocka_unit_test(the_page_is_one_file_and_asks_nothing_of_the_network),
        cmocka_unit_test(a_full_disk_leaves_no_page),
        cmocka_unit_test(a_full_disk_leaves_the_old_page),
        cmocka_unit_test(every_failed_allocation_is_told),
        cmocka_unit_test(other_documents_are_refused),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
