/* Certificates found in whatever a hosted CA sends back, and archives read and written. */
#include "pki_fixture.h"

#include "base/codec.h"
#include "base/tar.h"
#include "station/vault/hosted/answers.h"

#include <openssl/pkcs7.h>
#include <stdio.h>

/* What was found, and the words of the last problem. */
struct found {
    struct buf der; /* all certificates, one after the other */
    int certificates, problems, stop_at;
    char place[ANSWERS_PLACE_SIZE], text[128];
};

static struct pki p;
static struct buf der, pem;
static struct found found;

static int on_certificate(void *context, const char *place, const uint8_t *bytes, size_t len,
                          struct error *err)
{
    struct found *f = context;

    buf_put(&f->der, bytes, len);
    snprintf(f->place, sizeof f->place, "%s", place);
    return ++f->certificates == f->stop_at ? error_set(err, ERR_INTERRUPTED, "enough") : 0;
}

static int on_problem(void *context, const char *place, const char *text, struct error *err)
{
    struct found *f = context;

    (void)err;
    f->problems++;
    snprintf(f->place, sizeof f->place, "%s", place);
    snprintf(f->text, sizeof f->text, "%s", text);
    return 0;
}

static int read_bytes(const void *bytes, size_t len)
{
    const struct answers_sink sink = {on_certificate, on_problem, &found};
    FILE *in = fmemopen((void *)(uintptr_t)bytes, len, "r");
    int rc;

    ck_assert_ptr_nonnull(in);
    buf_done(&found.der);
    found = (struct found){.stop_at = found.stop_at};
    buf_init(&found.der, SIZE_MAX);
    rc = answers_read_stream(in, "file", &sink, &p.err);
    fclose(in);
    return rc;
}

static void begin(void)
{
    pki_init(&p);
    buf_init(&der, 8192);
    buf_init(&pem, 8192);
    found = (struct found){.stop_at = 0};
    buf_init(&found.der, SIZE_MAX);
    ASSERT_OK(cert_der(p.issuing, &der, &p.err), p.err);
    ASSERT_OK(cert_pem(p.issuing, &pem, &p.err), p.err);
}

static void end(void)
{
    buf_done(&der);
    buf_done(&pem);
    buf_done(&found.der);
    pki_done(&p);
}

static void assert_found(int certificates, int problems)
{
    ck_assert_msg(found.certificates == certificates && found.problems == problems,
                  "%d certificates, %d problems: %s: %s", found.certificates, found.problems,
                  found.place, found.text);
    for (int i = 0; i < certificates; i++)
        ck_assert_mem_eq(found.der.data + (size_t)i * der.len, der.data, der.len);
}

/* 1 stands for the certificate in PEM, 2 in DER, 3 in base64 on one line, 4 for PEM that is cut. */
static const struct {
    const char *text;
    int certificates, problems;
    const char *said;
} texts[] = {
    {"\1", 1, 0, NULL},
    {"\1\1", 2, 0, NULL},
    {"Dear customer,\r\n\r\n-----\r\n\1\r\nregards", 1, 0, NULL},
    {"a,b\r\n1,\3\r\n2,\3\r\n", 2, 0, NULL},
    {"a,b\n1,\"\1\",\"\3\"\n", 2, 0, NULL},
    {"\"\1\",\3", 2, 0, NULL},
    {"{\"cert\":\"\3\"}", 1, 0, NULL},
    {"-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n\1", 1, 0,
     NULL},
    {"\4\1", 1, 1, "damaged, or cut off"},
    {"\1\4", 1, 1, "damaged, or cut off"},
    {"no certificate", 0, 1, "no certificate was found"},
    {"MIIBcutcutcutcutcutcutcutcutcutcutcutcutcutcutcutcutcutcutcutcutcutcutcutcut", 0, 2,
     "no certificate was found"},
    {"-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n\1", 1, 1,
     "a 'PRIVATE KEY' is no certificate"},
    {"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n\1", 1, 1, "damaged"},
    {"-----BEGIN CERTIFICATE-----\nMA==\n-----END OTHER-----\n\1", 1, 1, "damaged"},
    {"-----BEGIN CERTIFICATE-----\nProc-Type: 4\n-----END CERTIFICATE-----\n\1", 1, 1, "damaged"},
    {"\2", 1, 0, NULL},
    {"\2\2", 2, 0, NULL},
    {"\2\2x", 2, 1, "this DER is damaged"},
    {"0\x81\x05"
     "abcde",
     0, 2, "no certificate was found"}, /* a length that is not DER's */
};

static void expand(const char *text, struct buf *out)
{
    for (; *text; text++)
        if (*text == 1)
            buf_put(out, pem.data, pem.len);
        else if (*text == 2)
            buf_put(out, der.data, der.len);
        else if (*text == 3)
            base64_put(out, der.data, der.len);
        else if (*text == 4)
            buf_put(out, pem.data, pem.len - 100);
        else
            buf_put_u8(out, (uint8_t)*text);
}

START_TEST(text_and_der)
{
    struct buf all;

    begin();
    buf_init(&all, SIZE_MAX);
    expand(texts[_i].text, &all);
    ASSERT_OK(read_bytes(all.data, all.len), p.err);
    assert_found(texts[_i].certificates, texts[_i].problems);
    if (texts[_i].said)
        ck_assert_msg(strstr(found.text, texts[_i].said) != NULL, "%s", found.text);
    buf_done(&all);
    end();
}
END_TEST

/* Every length of a file is read to its end, with a certificate or words about it. */
START_TEST(a_file_that_is_cut_anywhere)
{
    begin();
    for (size_t len = 1; len < pem.len; len++) {
        ASSERT_OK(read_bytes(pem.data, len), p.err);
        ck_assert_int_eq(found.certificates, len == pem.len - 1);
        ck_assert_int_eq(found.problems > 0, len < pem.len - 1);
    }
    for (size_t len = 1; len < der.len; len++) {
        ASSERT_OK(read_bytes(der.data, len), p.err);
        ck_assert(found.certificates == 0 && found.problems > 0);
    }
    end();
}
END_TEST

START_TEST(places_have_the_line)
{
    struct buf all;

    begin();
    buf_init(&all, SIZE_MAX);
    expand("a\nb\n\3,\n", &all);
    ASSERT_OK(read_bytes(all.data, all.len), p.err);
    ck_assert_str_eq(found.place, "file:3");
    buf_done(&all);
    end();
}
END_TEST

START_TEST(the_sink_ends_the_reading)
{
    struct buf all;

    begin();
    buf_init(&all, SIZE_MAX);
    expand("\1\1\1", &all);
    found.stop_at = 2;
    ASSERT_FAILS(read_bytes(all.data, all.len), ERR_INTERRUPTED);
    ck_assert_int_eq(found.certificates, 2);
    buf_done(&all);
    end();
}
END_TEST

START_TEST(what_is_too_long_is_told_and_left_out)
{
    struct buf all;

    begin();
    buf_init(&all, SIZE_MAX);
    buf_put(&all, "MI", 2);
    for (size_t i = 0; i < 20000; i++)
        buf_put_u8(&all, 'A');
    buf_put_u8(&all, '\n');
    buf_put(&all, pem.data, pem.len);
    ASSERT_OK(read_bytes(all.data, all.len), p.err);
    assert_found(1, 1);
    ck_assert_ptr_nonnull(strstr(found.text, "longer than a certificate"));
    buf_reset(&all);
    buf_put(&all, "\x30\x83\x40\x00\x00", 5);
    while (all.len < ANSWERS_PKCS7_MAX + 10)
        buf_put_u8(&all, 0);
    ASSERT_OK(read_bytes(all.data, all.len), p.err);
    ck_assert_int_eq(found.certificates, 0);
    ck_assert_int_ge(found.problems, 1);
    buf_done(&all);
    end();
}
END_TEST

/* ---- archives ---- */

static void put_file(struct buf *out, const char *name, const struct buf *content)
{
    static const uint8_t zeros[TAR_BLOCK];
    uint8_t block[TAR_BLOCK];

    tar_header(name, content->len, 1700000000, block);
    buf_put(out, block, sizeof block);
    buf_put(out, content->data, content->len);
    buf_put(out, zeros, tar_padding(content->len));
}

START_TEST(an_archive_of_files)
{
    static const uint8_t zeros[2 * TAR_BLOCK];
    struct buf all, empty;
    size_t whole;

    begin();
    buf_init(&all, SIZE_MAX);
    buf_init(&empty, 1);
    put_file(&all, "a.pem", &pem);
    put_file(&all, "b.der", &der);
    whole = all.len;
    buf_put(&all, zeros, sizeof zeros);
    ASSERT_OK(read_bytes(all.data, all.len), p.err);
    assert_found(2, 0);
    ck_assert_str_eq(found.place, "file: b.der");
    ASSERT_OK(read_bytes(all.data, whole), p.err);
    assert_found(2, 1);
    ck_assert_ptr_nonnull(strstr(found.text, "cut off"));
    ASSERT_OK(read_bytes(all.data, whole - 600), p.err);
    ck_assert(found.certificates >= 1 && found.problems >= 1);
    all.data[whole] = 1; /* where a header should be */
    ASSERT_OK(read_bytes(all.data, all.len), p.err);
    assert_found(2, 1);
    ck_assert_ptr_nonnull(strstr(found.text, "the archive is damaged"));
    buf_reset(&all);
    put_file(&all, "empty", &empty);
    buf_put(&all, zeros, sizeof zeros);
    ASSERT_OK(read_bytes(all.data, all.len), p.err);
    ck_assert(found.certificates == 0 && found.problems >= 1);
    buf_done(&all);
    end();
}
END_TEST

START_TEST(a_header_that_was_changed_is_none)
{
    uint8_t block[TAR_BLOCK];
    struct tar_entry e;

    tar_header("PUMP-000001.csr", 4711, 1700000000, block);
    ASSERT_OK(tar_parse(block, &e), p.err);
    ck_assert(strcmp(e.name, "PUMP-000001.csr") == 0 && e.size == 4711 && e.regular && !e.end);
    for (size_t i = 0; i < TAR_BLOCK; i++) {
        block[i] ^= 1;
        /* the last octet of the sum is a blank that nothing depends on */
        ck_assert_msg(tar_parse(block, &e) == ERR_FORMAT || i == 155 || i == 154, "octet %zu", i);
        block[i] ^= 1;
    }
    memset(block, 0, sizeof block);
    ASSERT_OK(tar_parse(block, &e), p.err);
    ck_assert(e.end);
}
END_TEST

CHECK_ITEMS_MAIN("answers", EACH_ROW(text_and_der, texts), ONCE(a_file_that_is_cut_anywhere),
                 ONCE(places_have_the_line), ONCE(the_sink_ends_the_reading),
                 ONCE(what_is_too_long_is_told_and_left_out), ONCE(an_archive_of_files),
                 ONCE(a_header_that_was_changed_is_none))
