/* The base room: errors, buffers, encodings, canonical JSON, secrets and files. */
#include "check_util.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/jcs.h"
#include "base/secret.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(every_error_has_a_name_a_meaning_and_its_own_exit_status)
{
    bool used[256] = {false};

#define CHECK_ONE(name, status, meaning)                                                           \
    ck_assert_str_eq(error_name(name), #name);                                                     \
    ck_assert_int_gt((int)strlen(meaning), 10);                                                    \
    ck_assert_int_eq(error_exit_status(name), status);                                             \
    ck_assert_msg(!used[status], "status %d used twice", status);                                  \
    used[status] = true;
    ERROR_LIST(CHECK_ONE)
#undef CHECK_ONE
}
END_TEST

START_TEST(an_error_keeps_its_code_when_prefixed)
{
    struct error err = ERROR_INIT;

    ck_assert_int_eq(error_set_native(&err, ERR_PIN, 0xa0, "the PIN is wrong"), ERR_PIN);
    ck_assert_int_eq(error_prefix(&err, "token '%s'", "line1"), ERR_PIN);
    ck_assert_str_eq(err.text, "token 'line1': the PIN is wrong");
    ck_assert_int_eq(err.native, 0xa0);
    ck_assert_int_eq(error_recode(&err, ERR_INPUT), ERR_INPUT);
    ck_assert_int_eq(err.code, ERR_INPUT);
    ck_assert_int_eq(error_recode(NULL, ERR_INPUT), ERR_INPUT);
}
END_TEST

START_TEST(a_buffer_over_its_limit_stays_failed)
{
    struct buf b;

    buf_init(&b, 4);
    buf_put_u32(&b, 0x01020304);
    ck_assert(!buf_failed(&b));
    buf_put_u8(&b, 5);
    ck_assert(buf_failed(&b));
    buf_put_str(&b, "");
    ck_assert(buf_failed(&b));
    ck_assert_uint_eq(b.len, 4);
    ck_assert_mem_eq(b.data, "\1\2\3\4", 4);
    buf_done(&b);
}
END_TEST

START_TEST(a_reader_returns_what_a_buffer_wrote_and_nothing_more)
{
    struct buf b;
    struct reader r;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    char text[8];

    buf_init(&b, 1000);
    buf_put_u8(&b, 0xfe);
    buf_put_u16(&b, 0xfedc);
    buf_put_u32(&b, 0xfedcba98);
    buf_put_u64(&b, 0xfedcba9876543210);
    buf_put_lp(&b, "serial", 6);
    reader_init(&r, b.data, b.len);
    ck_assert_int_eq(reader_u8(&r, &u8) || reader_u16(&r, &u16) || reader_u32(&r, &u32) ||
                         reader_u64(&r, &u64) || reader_lp_str(&r, text, sizeof text) ||
                         reader_end(&r),
                     0);
    ck_assert_uint_eq(u64, 0xfedcba9876543210);
    ck_assert_str_eq(text, "serial");
    ck_assert_int_eq(reader_u8(&r, &u8), ERR_FORMAT);
    buf_done(&b);
}
END_TEST

START_TEST(a_length_prefix_longer_than_allowed_or_present_is_refused)
{
    static const uint8_t cut[] = {0, 5, 'a', 'b'}, nul[] = {0, 2, 'a', 0};
    struct reader r;
    const uint8_t *view;
    size_t len;
    char text[8];

    reader_init(&r, cut, sizeof cut);
    ck_assert_int_eq(reader_lp(&r, &view, &len, 100), ERR_FORMAT);
    ck_assert_uint_eq(r.left, sizeof cut);
    reader_init(&r, nul, sizeof nul);
    ck_assert_int_eq(reader_lp(&r, &view, &len, 1), ERR_FORMAT);
    ck_assert_int_eq(reader_lp_str(&r, text, sizeof text), ERR_FORMAT);
}
END_TEST

START_TEST(hexadecimal_is_lower_case_and_exact)
{
    uint8_t out[4];
    size_t len;
    char text[9];

    hex_encode("\x00\xab\xcd\xef", 4, text);
    ck_assert_str_eq(text, "00abcdef");
    ck_assert_int_eq(hex_decode(text, out, 4), 0);
    ck_assert_mem_eq(out, "\x00\xab\xcd\xef", 4);
    ck_assert_int_eq(hex_decode_any("00ab", out, 4, &len), 0);
    ck_assert_uint_eq(len, 2);
    ck_assert_int_eq(hex_decode("00ABCDEF", out, 4), ERR_FORMAT);
    ck_assert_int_eq(hex_decode("00abcde", out, 4), ERR_FORMAT);
    ck_assert_int_eq(hex_decode("00abcdeg", out, 4), ERR_FORMAT);
    ck_assert_int_eq(hex_decode_any("00abcdef00", out, 4, &len), ERR_FORMAT);
    ck_assert_int_eq(hex_decode_any("0", out, 4, &len), ERR_FORMAT);
}
END_TEST

START_TEST(base64_agrees_with_rfc_4648_section_10)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    struct buf out;

    buf_init(&out, 100);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        buf_reset(&out);
        base64_put(&out, pairs[i][0], strlen(pairs[i][0]));
        ck_assert_uint_eq(out.len, strlen(pairs[i][1]));
        if (out.len)
            ck_assert_mem_eq(out.data, pairs[i][1], out.len);
        buf_reset(&out);
        ck_assert_int_eq(base64_decode(pairs[i][1], strlen(pairs[i][1]), &out), 0);
        ck_assert_uint_eq(out.len, strlen(pairs[i][0]));
    }
    buf_done(&out);
}
END_TEST

START_TEST(base64_that_is_not_canonical_is_refused)
{
    static const char *const bad[] = {
        "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm9v\n", "Zm_v", "=m9v", "Zg==Zg==", "Z=9v"};
    struct buf out;

    buf_init(&out, 100);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(base64_decode(bad[i], strlen(bad[i]), &out) == ERR_FORMAT, "%s", bad[i]);
    buf_done(&out);
}
END_TEST

START_TEST(canonical_json_is_sorted_ascii_and_escaped)
{
    struct buf out;
    struct jcs j;

    buf_init(&out, 1000);
    jcs_init(&j, &out);
    jcs_object(&j, NULL);
    jcs_array(&j, "a");
    jcs_int(&j, NULL, -3);
    jcs_bool(&j, NULL, true);
    jcs_null(&j, NULL);
    jcs_end(&j);
    jcs_base64(&j, "b", "foob", 4);
    jcs_hex(&j, "h", "\xff\x00", 2);
    jcs_object(&j, "o");
    jcs_end(&j);
    jcs_str(&j, "s", "quote \" and \\");
    jcs_end(&j);
    buf_put_u8(&out, 0);
    ck_assert(!buf_failed(&out));
    ck_assert_str_eq((char *)out.data, "{\"a\":[-3,true,null],\"b\":\"Zm9vYg==\",\"h\":\"ff00\","
                                       "\"o\":{},\"s\":\"quote \\\" and \\\\\"}");
    buf_done(&out);
}
END_TEST

static void name_out_of_order(struct jcs *j)
{
    jcs_int(j, "b", 1);
    jcs_int(j, "a", 1);
}

static void name_twice(struct jcs *j)
{
    jcs_int(j, "a", 1);
    jcs_int(j, "a", 1);
}

static void text_with_control(struct jcs *j)
{
    jcs_str(j, "a", "tab\t");
}

static void text_not_ascii(struct jcs *j)
{
    jcs_str(j, "a", "\xc3\xa9");
}

static void number_too_large(struct jcs *j)
{
    jcs_int(j, "a", INT64_C(1) << 53);
}

static void value_without_name(struct jcs *j)
{
    jcs_int(j, NULL, 1);
}

static void nested_too_deep(struct jcs *j)
{
    for (int i = 0; i < JCS_DEPTH_MAX; i++)
        jcs_object(j, "a");
}

START_TEST(what_is_not_canonical_fails_the_writer)
{
    static void (*const bad[])(struct jcs *) = {
        name_out_of_order, name_twice,         text_with_control, text_not_ascii,
        number_too_large,  value_without_name, nested_too_deep};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf out;
        struct jcs j;

        buf_init(&out, 1000);
        jcs_init(&j, &out);
        jcs_object(&j, NULL);
        bad[i](&j);
        ck_assert_msg(buf_failed(&out), "case %zu", i);
        buf_done(&out);
    }
}
END_TEST

START_TEST(a_pin_file_that_others_may_read_is_refused)
{
    struct error err = ERROR_INIT;
    struct secret *pin = NULL;
    char path[] = "/tmp/check_base_pin_XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_eq((int)write(fd, "1234\nrest", 9), 9);
    close(fd);
    ASSERT_OK(secret_read_pin_file(path, &pin, &err), err);
    ck_assert_uint_eq(secret_len(pin), 4);
    ck_assert_mem_eq(secret_bytes(pin), "1234", 4);
    secret_free(pin);
    ck_assert_int_eq(chmod(path, 0640), 0);
    ASSERT_FAILS(secret_read_pin_file(path, &pin, &err), ERR_PIN);
    ck_assert_ptr_nonnull(strstr(err.text, "chmod 600"));
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
    ASSERT_FAILS(secret_read_pin_file(path, &pin, &err), ERR_PIN);
    unlink(path);
    ASSERT_FAILS(secret_read_pin_file(path, &pin, &err), ERR_PIN);
}
END_TEST

START_TEST(secrets_compare_by_length_and_contents)
{
    struct secret *a = secret_new(4), *b = secret_new(4), *c = secret_new(3);

    memcpy(secret_bytes(a), "1234", 4);
    memcpy(secret_bytes(b), "1234", 4);
    memcpy(secret_bytes(c), "123", 3);
    ck_assert(secret_equal(a, b));
    ck_assert(!secret_equal(a, c));
    secret_bytes(b)[3] = '5';
    ck_assert(!secret_equal(a, b));
    secret_truncate(a, 3);
    ck_assert(secret_equal(a, c));
    ck_assert_ptr_null(secret_new(0));
    secret_free(a);
    secret_free(b);
    secret_free(c);
}
END_TEST

START_TEST(a_file_is_replaced_whole_with_the_mode_asked_for)
{
    struct error err = ERROR_INIT;
    char dir[] = "/tmp/check_base_dir_XXXXXX", path[64];
    struct stat st;
    struct buf b;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    ASSERT_OK(file_join(path, sizeof path, dir, "f", &err), err);
    ASSERT_OK(file_write(path, "old contents", 12, 0644, &err), err);
    ASSERT_OK(file_write(path, "new", 3, 0600, &err), err);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    buf_init(&b, 3);
    ASSERT_OK(file_read(path, &b, &err), err);
    ck_assert_mem_eq(b.data, "new", 3);
    buf_done(&b);
    buf_init(&b, 2);
    ASSERT_FAILS(file_read(path, &b, &err), ERR_FORMAT);
    buf_done(&b);
    snprintf(path, sizeof path, "%s/a", dir);
    ASSERT_OK(file_make_dir(path, 0700, &err), err);
    ASSERT_OK(file_make_dir(path, 0700, &err), err);
    ASSERT_OK(file_remove_tree(dir, &err), err);
    ck_assert(!file_exists(dir));
    snprintf(path, sizeof path, "%s/f", dir);
    ASSERT_FAILS(file_write(path, "x", 1, 0600, &err), ERR_MISSING);
}
END_TEST

START_TEST(a_regular_file_is_nothing_that_only_looks_like_one)
{
    struct error err = ERROR_INIT;
    char dir[] = "/tmp/check_base_dir_XXXXXX", file[64], other[64];
    struct buf b;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/f", dir);
    snprintf(other, sizeof other, "%s/o", dir);
    buf_init(&b, 3);
    ASSERT_FAILS(file_read_regular(file, &b, &err), ERR_MISSING);
    ASSERT_OK(file_write(file, "new", 3, 0600, &err), err);
    ASSERT_OK(file_read_regular(file, &b, &err), err);
    ck_assert_mem_eq(b.data, "new", 3);
    ASSERT_FAILS(file_read_regular(file, &b, &err), ERR_FORMAT); /* there is no room for more */
    ck_assert_int_eq(symlink(file, other), 0);
    ASSERT_FAILS(file_read_regular(other, &b, &err), ERR_INTEGRITY);
    ck_assert_int_eq(unlink(other), 0);
    ck_assert_int_eq(mkfifo(other, 0600), 0); /* nobody writes: whoever opens it plainly waits */
    ASSERT_FAILS(file_read_regular(other, &b, &err), ERR_INTEGRITY);
    ASSERT_FAILS(file_read_regular(dir, &b, &err), ERR_INTEGRITY);
    buf_done(&b);
    ASSERT_OK(file_remove_tree(dir, &err), err);
}
END_TEST

START_TEST(a_folder_is_there_whole_or_not_at_all)
{
    struct error err = ERROR_INIT;
    char dir[] = "/tmp/check_base_dir_XXXXXX", path[64], file[PATH_MAX], making[PATH_MAX];
    struct stat st;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/whole", dir);
    ASSERT_OK(file_dir_begin(path, making, &err), err);
    ck_assert_int_eq(stat(making, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    ASSERT_OK(file_join(file, sizeof file, making, "left", &err), err);
    ASSERT_OK(file_write(file, "x", 1, 0600, &err), err);
    ASSERT_OK(file_dir_begin(path, making, &err), err); /* as after a kill */
    ck_assert(!file_exists(file));
    ck_assert(!file_exists(path));
    ASSERT_OK(file_dir_finish(making, path, &err), err);
    ck_assert(file_exists(path) && !file_exists(making));
    ASSERT_FAILS(file_dir_begin(path, making, &err), ERR_EXISTS);
    ck_assert_int_eq(rmdir(path), 0);
    ASSERT_OK(file_dir_begin(path, making, &err), err);
    ck_assert_int_eq(symlink("nowhere", path), 0); /* somebody took the name meanwhile */
    ASSERT_FAILS(file_dir_finish(making, path, &err), ERR_EXISTS);
    ASSERT_FAILS(file_dir_begin(path, making, &err), ERR_EXISTS);
    snprintf(path, sizeof path, "%s/no/where", dir);
    ASSERT_FAILS(file_dir_begin(path, making, &err), ERR_MISSING);
    ASSERT_FAILS(file_dir_begin("", making, &err), ERR_INPUT);
    ASSERT_OK(file_remove_tree(dir, &err), err);
}
END_TEST

static const struct {
    mode_t mode;
    int as_file, as_credential;
} pin_modes[] = {
    {0600, 0, 0},
    {0400, 0, 0},
    {0440, ERR_PIN, 0}, /* as a service manager passes it to another user */
    {0460, ERR_PIN, ERR_PIN},
    {0404, ERR_PIN, ERR_PIN},
    {0644, ERR_PIN, ERR_PIN},
};

START_TEST(a_credential_may_be_read_by_the_services_user_and_by_nobody_else)
{
    struct error err = ERROR_INIT;
    struct secret *pin;
    char dir[] = "/tmp/check_base_XXXXXX", path[64];

    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
    snprintf(path, sizeof path, "%s/imprint-pin", dir);
    ASSERT_FAILS(secret_read_credential("imprint-pin", &pin, &err), ERR_MISSING);
    for (size_t i = 0; i < sizeof pin_modes / sizeof *pin_modes; i++) {
        ASSERT_OK(file_write(path, "2468\n", 5, pin_modes[i].mode, &err), err);
        pin = NULL;
        ASSERT_FAILS(secret_read_pin_file(path, &pin, &err), pin_modes[i].as_file);
        secret_free(pin);
        pin = NULL;
        ASSERT_FAILS(secret_read_credential("imprint-pin", &pin, &err), pin_modes[i].as_credential);
        if (pin)
            ck_assert_mem_eq(secret_bytes(pin), "2468", 4);
        secret_free(pin);
    }
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", dir + 1, 1), 0); /* not absolute */
    ASSERT_FAILS(secret_read_credential("imprint-pin", &pin, &err), ERR_MISSING);
    ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    ASSERT_FAILS(secret_read_credential("imprint-pin", &pin, &err), ERR_MISSING);
    ASSERT_OK(file_remove_tree(dir, &err), err);
}
END_TEST

START_TEST(times_are_rfc_3339_in_utc)
{
    char text[CLOCK_TEXT_SIZE];

    clock_text(0, text);
    ck_assert_str_eq(text, "1970-01-01T00:00:00Z");
    clock_text(INT64_C(253402300799), text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59Z");
    ck_assert_int_gt(clock_utc(), 1700000000);
}
END_TEST

START_TEST(only_the_one_way_of_writing_a_time_is_read)
{
    static const char *const bad[] = {
        "",
        "2026-01-31",
        "2026-01-31T23:59:59",
        "2026-01-31t23:59:59Z",
        "2026-01-31T23:59:59.0Z",
        "2026-01-31T23:59:5 Z",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:60Z",
        "1969-12-31T23:59:59Z",
        " 026-01-01T00:00:00Z",
    };
    int64_t utc = 7;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(clock_parse(bad[i], &utc) == ERR_FORMAT, "'%s'", bad[i]);
    ck_assert_int_eq(utc, 7);
    ck_assert_int_eq(clock_parse("2024-02-29T12:00:01Z", &utc), 0);
    ck_assert_int_eq(utc, 1709208001);
    ck_assert_int_eq(clock_parse("9999-12-31T23:59:59Z", &utc), 0);
    ck_assert_int_eq(utc, INT64_C(253402300799));
}
END_TEST

CHECK_MAIN("base", every_error_has_a_name_a_meaning_and_its_own_exit_status,
           an_error_keeps_its_code_when_prefixed, a_buffer_over_its_limit_stays_failed,
           a_reader_returns_what_a_buffer_wrote_and_nothing_more,
           a_length_prefix_longer_than_allowed_or_present_is_refused,
           hexadecimal_is_lower_case_and_exact, base64_agrees_with_rfc_4648_section_10,
           base64_that_is_not_canonical_is_refused, canonical_json_is_sorted_ascii_and_escaped,
           what_is_not_canonical_fails_the_writer, a_pin_file_that_others_may_read_is_refused,
           secrets_compare_by_length_and_contents, a_file_is_replaced_whole_with_the_mode_asked_for,
           a_regular_file_is_nothing_that_only_looks_like_one,
           a_folder_is_there_whole_or_not_at_all,
           a_credential_may_be_read_by_the_services_user_and_by_nobody_else,
           times_are_rfc_3339_in_utc, only_the_one_way_of_writing_a_time_is_read)
