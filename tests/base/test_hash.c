/* test_hash.c - SHA-256 gives the digests of FIPS 180-4's examples. */
#include "error.h"
#include "file.h"
#include "hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char ABC[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char NOTHING[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void the_published_digests_come_out(void **state)
{
    (void)state;
    char text[HASH_TEXT];
    assert_int_equal(hash_bytes("abc", 3, text), 0);
    assert_string_equal(text, ABC);
    assert_int_equal(hash_bytes("", 0, text), 0);
    assert_string_equal(text, NOTHING);
    const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    assert_int_equal(hash_bytes(two_blocks, strlen(two_blocks), text), 0);
    assert_string_equal(text, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void pieces_and_files_hash_as_the_whole(void **state)
{
    (void)state;
    struct hash *h = NULL;
    char text[HASH_TEXT], path[] = "vitro_hash_XXXXXX";
    assert_int_equal(hash_begin(&h), 0);
    hash_add(h, "a", 1);
    hash_add(h, NULL, 0);
    hash_add(h, "bc", 2);
    assert_int_equal(hash_end(h, text), 0);
    assert_string_equal(text, ABC);
    hash_abandon(NULL);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(hash_file(path, text), 0);
    assert_string_equal(text, NOTHING);
    assert_int_equal(file_write(path, "abc", 3), 0);
    assert_int_equal(hash_file(path, text), 0);
    assert_string_equal(text, ABC);
    unlink(path);
    assert_int_equal(hash_file(path, text), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_digests_come_out),
        cmocka_unit_test(pieces_and_files_hash_as_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
