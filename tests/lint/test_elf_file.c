/* test_elf_file.c - what a shared object says about itself, read from files that may be damaged. */
#include "elf_file.h"

#include "error.h"
#include "file.h"
#include "memory.h"
#include "rng.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { LIMIT = 16 << 20, FLIPS = 2000, CUTS = 500 };
static const char damaged[] = "damaged_elf.so";

static void exports_and_needs_are_read(void **state)
{
    (void)state;
    struct elf_file f;
    assert_int_equal(elf_file_open(&f, BAD_FOLDER "/vitro_two_symbols.so"), 0);
    assert_int_equal(f.exports.count, 2);
    elf_file_close(&f);
    assert_int_equal(elf_file_open(&f, BAD_FOLDER "/vitro_links_libm.so"), 0);
    int libm = 0;
    for (size_t i = 0; i < f.needs.count; i++)
        libm += !strncmp(f.needs.name[i], "libm.", 5);
    assert_int_equal(libm, 1);
    elf_file_close(&f);
    elf_file_close(&f);
}

static void what_is_no_shared_object_is_refused_by_name(void **state)
{
    (void)state;
    struct elf_file f;
    assert_int_equal(elf_file_open(&f, BAD_FOLDER "/vitro_text.so"), ERR_PLUGIN);
    assert_non_null(strstr(error_text(), "vitro_text.so: it is no ELF file"));
    assert_true(elf_file_open(&f, BAD_FOLDER "/vitro_none.so") < 0);
}

/* Opens what is left of the file: it may be refused, it may not crash. */
static int is_refused(void)
{
    struct elf_file f;
    int rc = elf_file_open(&f, damaged);
    assert_true(rc == 0 || error_text()[0]);
    elf_file_close(&f);
    return rc < 0;
}

static void put_byte(int file, size_t at, char byte)
{
    assert_int_equal(pwrite(file, &byte, 1, (off_t)at), 1);
}

static void a_damaged_file_is_refused_or_read_but_never_followed_out(void **state)
{
    (void)state;
    char *bytes = NULL;
    size_t size = 0;
    int refused = 0;
    struct rng g = rng_named(7, "damage");
    assert_int_equal(file_read(BAD_FOLDER "/vitro_good.so", LIMIT, &bytes, &size), 0);
    int file = open(damaged, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, bytes, size, 0), (ssize_t)size);
    assert_false(is_refused());
    for (int i = 0; i < FLIPS; i++) { /* in the head and in the section headers, where offsets are */
        size_t at = i % 2 ? rng_below(&g, 64) : size - 1 - rng_below(&g, 64 * 30);
        put_byte(file, at, (char)rng_u32(&g));
        refused += is_refused();
        put_byte(file, at, bytes[at]);
    }
    assert_true(refused > 100);
    for (int i = 1; i < CUTS; i++) { /* the section headers stand at the end */
        assert_int_equal(ftruncate(file, (off_t)(size - size * (size_t)i / CUTS)), 0);
        assert_true(is_refused());
    }
    close(file);
    unlink(damaged);
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exports_and_needs_are_read),
        cmocka_unit_test(what_is_no_shared_object_is_refused_by_name),
        cmocka_unit_test(a_damaged_file_is_refused_or_read_but_never_followed_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
