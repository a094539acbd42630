/*
 * What platforms would refuse is refused before a folder appears, files are split where the platform
 * says, and a kill leaves nothing under the final name.
 */
#include "check_util.h"
#include "manifest_kit.h"

#include "base/file.h"
#include "manifests/platforms/export.h"
#include "manifests/platforms/ids.h"
#include "manifests/platforms/text.h"
#include "pki/envelope.h"

#include <openssl/cms.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct kit kit;
static struct error err;
static char top[] = "/tmp/check_exports.XXXXXX", dir[PATH_MAX];

static void begin(void)
{
    err = (struct error)ERROR_INIT;
    strcpy(top, "/tmp/check_exports.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    snprintf(dir, sizeof dir, "%s/out", top);
    kit_init(&kit, top);
}

static void end(void)
{
    kit_done(&kit);
    ck_assert_int_eq(file_remove_tree(top, NULL), 0);
}

/* A run of a format with settings that are good for all of them. */
static struct platform_run run_of(const char *format)
{
    static const char *const values[] = {"x", "x", "x", "x", "x", "chip"};
    struct platform_run run = {.platform = platform_find(format), .signer = &kit.signer};

    ck_assert_ptr_nonnull(run.platform);
    for (size_t i = 0; run.platform->settings && run.platform->settings[i].name; i++)
        run.values[i] = strcmp(run.platform->settings[i].name, "fw-types") ? values[i] : "APP";
    return run;
}

/* Of secret formats: the CA of the kit, whose key the test has, as well as any other. */
static STACK_OF(X509) * make_recipients(void)
{
    STACK_OF(X509) *list = sk_X509_new_null();

    ck_assert(list && X509_up_ref(kit.ca) && sk_X509_push(list, kit.ca));
    return list;
}

static bool folder_has(const char *name)
{
    char path[PATH_MAX + 64];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return file_exists(path);
}

/* Exports one device of this serial, with a key and a chip id of so many bytes. */
static int export_one(const char *format, const char *serial, EVP_PKEY *key, size_t chip_len)
{
    struct platform_run run = run_of(format);
    struct export_report report;
    struct kit_device d = {.key = key ? key : kit_key()};
    struct export *e;
    char making[PATH_MAX + 16];
    X509 *cert;
    int rc, len;

    strcpy(d.record.prod, KIT_PRODUCT);
    snprintf(d.record.sn, sizeof d.record.sn, "%s", serial);
    d.record.t = RECORD_ADD;
    d.record.chip_len = chip_len;
    cert = kit_certificate(d.key, serial, kit.ca_key, kit.ca, NULL);
    len = i2d_X509(cert, &d.cert);
    d.record.cert = (struct record_bytes){d.cert, (size_t)len};
    X509_free(cert);
    ASSERT_OK(export_begin(&run, dir, &e, &err), err);
    rc = export_device(e, &d.record, kit.ca, &err);
    if (rc)
        export_abort(e);
    else
        rc = export_finish(e, NULL, &report, &err);
    ck_assert(file_exists(dir) == (rc == 0));
    snprintf(making, sizeof making, "%s.making", dir);
    ck_assert(!file_exists(making));
    ck_assert_int_eq(file_remove_tree(dir, NULL), 0);
    if (key)
        d.key = NULL;
    kit_device_done(&d);
    return rc;
}

#define CHARS_63 "a23456789b123456789c123456789d123456789e123456789f123456789g123"

static const struct {
    const char *format, *serial;
    bool good;
} serials[] = {
    {"azure-iot-hub", "A-1.+%_#*?!(),=@$'", true},
    {"azure-iot-hub", "a b", false},
    {"azure-iot-hub", "a:b", false},
    {"azure-iot-hub", "a/b", false},
    {"azure-iot-hub", "a\"b", false},
    {"azure-dps", "a-._:b", true},
    {"azure-dps", "ab-", true},
    {"azure-dps", "ab.", false},
    {"azure-dps", "ab_", false},
    {"azure-dps", "ab:", false},
    {"azure-dps", "a+b", false},
    {"azure-dps", CHARS_63 "4", true},
    {"azure-dps-group", "a+b", false},
    {"aws-iot", "A:1_b-", true},
    {"aws-iot", "a.b", false},
    {"aws-iot", "a#b", false},
    {"aws-iot-no-ca", "a b", false},
    {"espressif", "6d1d54ba-ed81", true},
    {"espressif", "a,b", false},
    {"microchip", "A1-0001", true},
    {"microchip", "a.b", false},
    {"nrf-cloud", CHARS_63, true},
    {"nrf-cloud", CHARS_63 "4", false},
    {"nrf-cloud", "a,b", false},
    {"nrf-cloud", "a:b", false},
    {"opc-ua", "A/B \"C\"", true},
};

START_TEST(serials_of_each_platform)
{
    int rc = export_one(serials[_i].format, serials[_i].serial, NULL, 6);

    ck_assert_msg(rc == (serials[_i].good ? 0 : ERR_REFUSED), "%s: '%s': %s: %s",
                  serials[_i].format, serials[_i].serial, error_name(rc), err.text);
    if (rc)
        ck_assert_ptr_nonnull(strstr(err.text, serials[_i].serial));
}
END_TEST

START_TEST(no_platform_takes_an_empty_or_endless_serial)
{
    char endless[256];

    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    for (size_t i = 0; export_formats[i]; i++) {
        ck_assert_ptr_nonnull(export_formats[i]->refuses(""));
        if (strcmp(export_formats[i]->name, "opc-ua")) /* the standard has no limit */
            ck_assert_ptr_nonnull(export_formats[i]->refuses(endless));
    }
}
END_TEST

static const struct {
    const char *format;
    bool p384, p521, rsa, ed25519;
} keys[] = {
    {"azure-iot-hub", true, true, true, false}, {"azure-dps", true, true, true, false},
    {"aws-iot", true, true, true, false},       {"aws-iot-no-ca", true, true, true, false},
    {"espressif", true, true, true, false},     {"microchip", false, false, false, false},
    {"nrf-cloud", false, false, false, false},  {"opc-ua", true, true, true, false},
};

START_TEST(key_types_of_each_platform)
{
    const struct {
        EVP_PKEY *key;
        bool good;
    } tried[] = {{EVP_EC_gen("P-384"), keys[_i].p384},
                 {EVP_EC_gen("P-521"), keys[_i].p521},
                 {EVP_EC_gen("secp256k1"), false},
                 {EVP_RSA_gen(2048), keys[_i].rsa},
                 {EVP_RSA_gen(1024), false},
                 {EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), keys[_i].ed25519}};

    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        int rc = export_one(keys[_i].format, "A1", tried[i].key, 6);

        ck_assert_msg(rc == (tried[i].good ? 0 : ERR_REFUSED), "%s, key %zu: %s: %s",
                      keys[_i].format, i, error_name(rc), err.text);
        EVP_PKEY_free(tried[i].key);
    }
}
END_TEST

START_TEST(espressif_needs_a_mac)
{
    ASSERT_FAILS(export_one("espressif", "A1", NULL, 5), ERR_REFUSED);
    ASSERT_FAILS(export_one("espressif", "A1", NULL, 0), ERR_REFUSED);
    ASSERT_OK(export_one("espressif", "A1", NULL, 6), err);
}
END_TEST

/* The common name of the certificate is another one than the serial. */
START_TEST(who_knows_a_device_by_its_common_name)
{
    static const char *const formats[] = {"azure-dps", "azure-dps-group", "espressif"};

    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        X509 *cert = kit_certificate(kit.ca_key, "other", kit.ca_key, kit.ca, NULL);

        ck_assert_ptr_nonnull(platform_refuses_certificate(platform_find(formats[i]), cert, "A1"));
        ck_assert_ptr_null(platform_refuses_certificate(platform_find(formats[i]), cert, "other"));
        X509_free(cert);
    }
}
END_TEST

/* The same device again and again; only the serial in the record differs. */
static int export_many(const char *format, uint64_t count, const char *twice)
{
    struct platform_run run = run_of(format);
    struct export_report report;
    struct kit_device d = {.key = kit_key()};
    struct export *e;
    int rc = 0;

    strcpy(d.record.prod, KIT_PRODUCT);
    d.record.t = RECORD_ADD;
    d.record.chip_len = 6;
    ASSERT_OK(export_begin(&run, dir, &e, &err), err);
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        snprintf(d.record.sn, sizeof d.record.sn, "dev%06u", (unsigned)i);
        if (i == 0 || run.platform->names_by_cn)
            kit_certify(&d, d.record.sn, kit.ca_key, kit.ca);
        rc = export_device(e, &d.record, kit.ca, &err);
    }
    if (rc == 0 && twice) {
        snprintf(d.record.sn, sizeof d.record.sn, "%s", twice);
        kit_certify(&d, twice, kit.ca_key, kit.ca);
        rc = export_device(e, &d.record, kit.ca, &err);
    }
    kit_device_done(&d);
    if (rc) {
        export_abort(e);
        return rc;
    }
    rc = export_finish(e, NULL, &report, &err);
    if (rc == 0)
        ck_assert_uint_eq(report.devices, count + (twice != NULL));
    return rc;
}

/* How often a text is in a file of the folder; -1 without the file. */
static int occurrences(const char *name, const char *text)
{
    char path[PATH_MAX + 64];
    struct buf bytes;
    int n = 0;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!file_exists(path))
        return -1;
    buf_init(&bytes, 1 << 30);
    ASSERT_OK(file_read(path, &bytes, &err), err);
    buf_put_u8(&bytes, 0);
    for (const char *at = (const char *)bytes.data; (at = strstr(at, text)); at += strlen(text))
        n++;
    buf_done(&bytes);
    return n;
}

static const struct {
    const char *format, *first, *second, *mark;
    uint64_t limit, more;
} limits[] = {
    {"nrf-cloud", "nrf-cloud-00000.csv", "nrf-cloud-00001.csv", "BEGIN CERT", 1000, 0},
    {"nrf-cloud", "nrf-cloud-00000.csv", "nrf-cloud-00001.csv", "BEGIN CERT", 1000, 1},
    {"microchip", "microchip-00000.json", "microchip-00001.json", "\"payload\"", 10000, 1},
};

START_TEST(files_are_split_at_the_limit)
{
    if (sweep_is("short") && limits[_i].limit > 1000)
        return;
    ASSERT_OK(export_many(limits[_i].format, limits[_i].limit + limits[_i].more, NULL), err);
    ck_assert_int_eq(occurrences(limits[_i].first, limits[_i].mark), (int)limits[_i].limit);
    ck_assert_int_eq(occurrences(limits[_i].second, limits[_i].mark), limits[_i].more ? 1 : -1);
    ck_assert(folder_has(EXPORT_INDEX));
}
END_TEST

START_TEST(calls_are_split_at_ten)
{
    for (uint64_t count = 9; count < 12; count++) {
        ASSERT_OK(export_many("azure-dps", count, NULL), err);
        ck_assert_int_eq(occurrences("azure-dps-00000.jsonl", "\"mode\":\"create\""),
                         count > 10 ? 2 : 1);
        ck_assert_int_eq(occurrences("azure-dps-00000.jsonl", "]}\n"), count > 10 ? 2 : 1);
        ck_assert_int_eq(file_remove_tree(dir, NULL), 0);
    }
}
END_TEST

START_TEST(an_issuing_ca_has_one_group)
{
    ASSERT_OK(export_many("azure-dps-group", 3, NULL), err);
    ck_assert_int_eq(occurrences("azure-dps-group-00000.jsonl", "enrollmentGroupId"), 1);
}
END_TEST

START_TEST(an_id_stands_once)
{
    ASSERT_FAILS(export_many("aws-iot", 3, "dev000001"), ERR_DUPLICATE);
    ck_assert(!file_exists(dir));
    ASSERT_OK(export_many("azure-iot-hub", 3, "DEV000001"), err);
    ck_assert_int_eq(file_remove_tree(dir, NULL), 0);
    ASSERT_FAILS(export_many("azure-dps", 3, "DEV000001"), ERR_DUPLICATE);
    ck_assert(!file_exists(dir));
}
END_TEST

START_TEST(ids_are_found_among_many)
{
    struct ids ids = {.used = 0};
    char id[32];
    bool known;

    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 5000; i++) {
            snprintf(id, sizeof id, "Id-%u", i);
            ASSERT_OK(ids_add(&ids, id, false, &known, &err), err);
            ck_assert_int_eq(known, round == 1);
        }
    ck_assert_uint_eq(ids.used, 5000);
    ids_done(&ids);
}
END_TEST

/* Without a device there is no file but the index, and the template where there is one. */
START_TEST(nothing_to_export)
{
    STACK_OF(X509) *recipients = make_recipients();

    for (size_t i = 0; export_formats[i]; i++) {
        struct platform_run run = run_of(export_formats[i]->name);
        struct export_report report;
        struct export *e;

        run.recipients = recipients;
        ASSERT_OK(export_begin(&run, dir, &e, &err), err);
        export_leave(e, EXPORT_HELD);
        ASSERT_OK(export_finish(e, NULL, &report, &err), err);
        ck_assert_uint_eq(report.devices, 0);
        ck_assert_uint_eq(report.left[EXPORT_HELD], 1);
        ck_assert_uint_eq(report.files, export_formats[i]->extra ? 1 : 0);
        ck_assert_int_eq(occurrences(EXPORT_INDEX, "\"held\":1"), 1);
        ck_assert_int_eq(file_remove_tree(dir, NULL), 0);
    }
    envelope_recipients_free(recipients);
}
END_TEST

/* What the envelope of a file holds, by OpenSSL; the number of its lines. */
static int open_file(const char *name, struct buf *plain)
{
    char path[PATH_MAX + 64];
    uint8_t bytes[65536];
    CMS_ContentInfo *cms;
    BIO *in, *out = BIO_new(BIO_s_mem());
    char *text;
    long len;
    int lines = 0;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    in = BIO_new_file(path, "rb");
    ck_assert_ptr_nonnull(in);
    cms = d2i_CMS_bio(in, NULL);
    ck_assert_ptr_nonnull(cms);
    ck_assert_int_eq(BIO_read(in, bytes, sizeof bytes), 0); /* nothing comes behind it */
    ck_assert_int_eq(CMS_decrypt(cms, kit.ca_key, kit.ca, NULL, out, 0), 1);
    len = BIO_get_mem_data(out, &text);
    for (long i = 0; i < len; i++)
        lines += text[i] == '\n';
    buf_put(plain, text, (size_t)len);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    BIO_free(out);
    return lines;
}

/* Also behind zero bytes. */
static bool file_holds(const char *name, const char *text)
{
    char path[PATH_MAX + 64];
    struct buf bytes;
    bool found;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    buf_init(&bytes, 1 << 20);
    ASSERT_OK(file_read(path, &bytes, &err), err);
    found = memmem(bytes.data, bytes.len, text, strlen(text)) != NULL;
    buf_done(&bytes);
    return found;
}

START_TEST(secret_keys_are_in_envelopes_alone)
{
    static const uint8_t key[PLATFORM_KEY_SIZE] = "thirty-two bytes that are secret";
    static const char base64[] = "dGhpcnR5LXR3byBieXRlcyB0aGF0IGFyZSBzZWNyZXQ=";
    static const char *const formats[] = {"symmetric-keys", "azure-dps-keys"};
    struct platform_run run = run_of(formats[_i]);
    STACK_OF(X509) *recipients = make_recipients();
    struct record record = {.t = RECORD_ADD, .mode = RECORD_MODE_DERIVED};
    struct export_report report;
    struct export *e = NULL;
    char name[64];
    struct buf plain;

    ASSERT_FAILS(export_begin(&run, dir, &e, &err), ERR_USAGE);
    ck_assert_ptr_null(e);
    buf_init(&plain, 1 << 20);
    run.recipients = recipients;
    strcpy(record.prod, KIT_PRODUCT);
    ASSERT_OK(export_begin(&run, dir, &e, &err), err);
    for (int i = 0; i < 12; i++) {
        snprintf(record.sn, sizeof record.sn, "A1-%04d", i);
        ASSERT_OK(export_key(e, &record, key, &err), err);
    }
    ASSERT_OK(export_finish(e, NULL, &report, &err), err);
    ck_assert_uint_eq(report.devices, 12);
    snprintf(name, sizeof name, "%s-00000.cms", formats[_i]);
    ck_assert(!file_holds(name, base64) && !file_holds(name, "A1-0003"));
    ck_assert_int_eq(open_file(name, &plain), _i ? 2 : 12); /* ten enrolments a call */
    buf_put_u8(&plain, 0);
    ck_assert_ptr_nonnull(strstr((char *)plain.data, base64));
    ck_assert_ptr_nonnull(strstr((char *)plain.data, "\"A1-0011\""));
    buf_done(&plain);
    envelope_recipients_free(recipients);
}
END_TEST

START_TEST(a_key_twice_or_of_a_serial_that_is_refused_leaves_no_folder)
{
    static const uint8_t key[PLATFORM_KEY_SIZE] = {1};
    static const char *const second[] = {"a1-1", "a+1"};
    struct platform_run run = run_of("azure-dps-keys");
    STACK_OF(X509) *recipients = make_recipients();
    struct record record = {.t = RECORD_ADD, .sn = "A1-1", .prod = KIT_PRODUCT};
    struct export *e;

    run.recipients = recipients;
    ASSERT_OK(export_begin(&run, dir, &e, &err), err);
    ASSERT_OK(export_key(e, &record, key, &err), err);
    strcpy(record.sn, second[_i]);
    ASSERT_FAILS(export_key(e, &record, key, &err), _i ? ERR_REFUSED : ERR_DUPLICATE);
    export_abort(e);
    ck_assert(!file_exists(dir));
    envelope_recipients_free(recipients);
}
END_TEST

START_TEST(a_folder_is_never_overwritten)
{
    struct platform_run run = run_of("azure-iot-hub");
    struct export *e = NULL;

    ASSERT_OK(export_many("azure-iot-hub", 1, NULL), err);
    ASSERT_FAILS(export_begin(&run, dir, &e, &err), ERR_EXISTS);
    ck_assert_ptr_null(e);
}
END_TEST

START_TEST(a_format_that_signs_needs_a_key)
{
    struct platform_run run = run_of("microchip");
    struct export *e = NULL;

    run.signer = NULL;
    ASSERT_FAILS(export_begin(&run, dir, &e, &err), ERR_USAGE);
    ck_assert_ptr_null(e);
}
END_TEST

/* Killed after the first, the second ... device: nothing has the final name, and a run after it works. */
START_TEST(a_kill_leaves_no_half_file)
{
    for (uint64_t killed = 1; killed < 4; killed++) {
        pid_t child = fork();
        int status;

        ck_assert_int_ge(child, 0);
        if (child == 0) {
            struct platform_run run = run_of("azure-iot-hub");
            struct kit_device d;
            struct export *e;

            if (export_begin(&run, dir, &e, &err))
                _exit(1);
            for (uint64_t i = 0; i < killed; i++) {
                char serial[32];

                snprintf(serial, sizeof serial, "dev%u", (unsigned)i);
                kit_device_init(&kit, &d, serial);
                if (export_device(e, &d.record, kit.ca, &err))
                    _exit(1);
            }
            kill(getpid(), SIGKILL);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status));
        ck_assert(!file_exists(dir));
    }
    ASSERT_OK(export_many("azure-iot-hub", 2, NULL), err);
    ck_assert_int_eq(occurrences("devices.txt", "\n"), 2);
}
END_TEST

static const struct {
    const char *format;
    const char *texts[7];
    bool good;
} settings[] = {
    {"azure-dps", {NULL}, true},
    {"azure-dps", {"policy=x"}, false},
    {"aws-iot", {NULL}, false},
    {"aws-iot", {"policy="}, false},
    {"aws-iot", {"policy"}, false},
    {"aws-iot", {"policy=base"}, true},
    {"aws-iot", {"policy=base", "policy=base"}, false},
    {"aws-iot", {"policy=ba\nse"}, false},
    {"nrf-cloud", {"fw-types=APP|BOOT"}, true},
    {"nrf-cloud", {"fw-types=APP|X"}, false},
    {"nrf-cloud", {"tags=a|b", "sub-type=pump"}, true},
    {"nrf-cloud", {"tags=a,b"}, false},
    {"nrf-cloud", {"sub-type=\"x"}, false},
    {"microchip", {"organization=A", "model=M", "part=P"}, true},
    {"microchip", {"organization=A", "model=M", "part=P", "id=serial"}, true},
    {"microchip", {"organization=A", "model=M", "part=P", "id=mac"}, false},
    {"microchip", {"organization=A", "model=M"}, false},
    {"opc-ua", {"manufacturer=A"}, true},
    {"opc-ua", {NULL}, false},
};

START_TEST(settings_of_formats)
{
    struct platform_run run = {.platform = platform_find(settings[_i].format)};
    size_t count = 0;

    while (settings[_i].texts[count])
        count++;
    if (settings[_i].good)
        ASSERT_OK(export_settings(&run, settings[_i].texts, count, &err), err);
    else
        ASSERT_FAILS(export_settings(&run, settings[_i].texts, count, &err), ERR_USAGE);
}
END_TEST

START_TEST(base64url_is_strict)
{
    static const char *const bad[] = {"a", "ab=", "ab+c", "ab/c", "a\n", "ab"};
    struct buf out;

    buf_init(&out, 64);
    ASSERT_OK(text_base64url_decode("-_8", 3, &out), err);
    ck_assert_uint_eq(out.len, 2);
    ck_assert_mem_eq(out.data, "\xfb\xff", 2);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ASSERT_FAILS(text_base64url_decode(bad[i], strlen(bad[i]), &out), ERR_FORMAT);
    buf_done(&out);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof(table)[0])

int main(void)
{
    TCase *tcase = tcase_create("exports");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, serials_of_each_platform, 0, ROWS(serials));
    tcase_add_test(tcase, no_platform_takes_an_empty_or_endless_serial);
    tcase_add_loop_test(tcase, key_types_of_each_platform, 0, ROWS(keys));
    tcase_add_test(tcase, espressif_needs_a_mac);
    tcase_add_test(tcase, who_knows_a_device_by_its_common_name);
    tcase_add_loop_test(tcase, files_are_split_at_the_limit, 0, ROWS(limits));
    tcase_add_test(tcase, calls_are_split_at_ten);
    tcase_add_test(tcase, an_issuing_ca_has_one_group);
    tcase_add_test(tcase, an_id_stands_once);
    tcase_add_test(tcase, ids_are_found_among_many);
    tcase_add_test(tcase, nothing_to_export);
    tcase_add_loop_test(tcase, secret_keys_are_in_envelopes_alone, 0, 2);
    tcase_add_loop_test(tcase, a_key_twice_or_of_a_serial_that_is_refused_leaves_no_folder, 0, 2);
    tcase_add_test(tcase, a_folder_is_never_overwritten);
    tcase_add_test(tcase, a_format_that_signs_needs_a_key);
    tcase_add_test(tcase, a_kill_leaves_no_half_file);
    tcase_add_loop_test(tcase, settings_of_formats, 0, ROWS(settings));
    tcase_add_test(tcase, base64url_is_strict);
    return check_run_case("exports", tcase, 900);
}
