/* Jobs: what is wrong is refused with its place and with what was expected. */
#include "check_util.h"

#include "base/file.h"
#include "pki/authority.h"
#include "pki/cert.h"
#include "pki/digest.h"
#include "pki/ec.h"
#include "station/job.h"
#include "station/schema/schema.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#define RANGE(p, d, f, l)                                                                          \
    {                                                                                              \
        .prefix = p, .digits = d, .first = f, .last = l                                            \
    }
#define SERIALS     "serials:\n  prefix: P-\n  digits: 4\n  first: 1\n"
#define CERTIFICATE "certificate:\n  organization: Acme\n  hardware_type: 1.3.6.1.4.1.32473.1\n"
#define PORTS       "ports:\n  - name: /dev/ttyACM*\n    slot: A{n}\n"
#define LISTED_JOB                                                                                 \
    "name: lot 42\norder: A-1\nserials:\n  source: listed\n  file: list.txt\n" CERTIFICATE PORTS
#define GOOD_JOB "name: lot 42\norder: A-1\n" SERIALS CERTIFICATE PORTS

static char dir[] = "/tmp/check_job_XXXXXX";

static void make_dir(void)
{
    strcpy(dir, "/tmp/check_job_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void put(const char *name, const char *text)
{
    struct error err = ERROR_INIT;
    char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    ASSERT_OK(file_write(path, text, strlen(text), 0600, &err), err);
}

static int read_job(struct job *job, struct error *err)
{
    char path[128];

    snprintf(path, sizeof path, "%s/job.yaml", dir);
    return job_read(path, job, err);
}

static void end(struct job *job)
{
    struct error err = ERROR_INIT;

    job_done(job);
    ASSERT_OK(file_remove_tree(dir, &err), err);
}

START_TEST(a_good_job_is_read_with_its_defaults)
{
    struct error err = ERROR_INIT;
    struct job job;

    make_dir();
    put("job.yaml", GOOD_JOB "link:\n  request_ms: 700\n");
    ASSERT_OK(read_job(&job, &err), err);
    ck_assert_str_eq(job.name, "lot 42");
    ck_assert_uint_eq(job.port_count, 1);
    ck_assert_str_eq(job.ports[0].slot, "A{n}");
    ck_assert_int_eq(job.ports[0].baud, 115200);
    ck_assert_int_eq(job.link.request_ms, 700);
    ck_assert_int_eq(job.link.hello_ms, 5000);
    ck_assert_str_eq(job.order, "A-1");
    end(&job);
}
END_TEST

static const struct {
    const char *yaml;
    const char *expected; /* part of the message: place, and what is wrong */
} bad_jobs[] = {
    {"", "job.yaml:1:1: the file is empty"},
    {"- a\n- b\n", "expected 'name: value' lines"},
    {"name: [1\n", "job.yaml:"},
    {"name: a\nname: b\norder: A-1\n", "job.yaml:2:"},
    {"name: a\norder: A-1\nserial:\n  prefix: P-\n",
     "job.yaml:3:1: unknown field 'serial'; did you mean 'serials'?"},
    {"name: a\norder: A-1\nzzzzzzz: 1\n", "job.yaml:3:1: unknown field 'zzzzzzz'"},
    {"name: a\norder: A-1\n" CERTIFICATE PORTS, "missing field 'serials'"},
    {"name: a\norder: A-1\nserials:\n  prefix: P-\n  digits: 4\n" CERTIFICATE PORTS,
     "job.yaml:3:1: missing field 'first', which 'source: assigned' needs"},
    {"name: a\norder: A-1\nserials:\n  source: guessed\n" CERTIFICATE PORTS,
     "job.yaml:4:3: 'source' must be assigned, listed, scanned or device"},
    {"name: a\norder: A-1\nserials:\n  source: listed\n" CERTIFICATE PORTS,
     "missing field 'file', which 'source: listed' needs"},
    {"name: a\norder: A-1\nserials:\n  source: scanned\n  prefix: P-\n" CERTIFICATE PORTS,
     "'prefix' has no place with 'source: scanned'"},
    {"name: a\norder: A-1\nserials:\n  source: device\n  input: labels\n" CERTIFICATE PORTS,
     "'input' has no place with 'source: device'"},
    {"name: a\norder: A-1\nserials:\n  source: scanned\n  digits: 4\n" CERTIFICATE PORTS,
     "'digits' has no place with 'source: scanned'"},
    {"name: a\norder: A-1\nserials:\n  source: listed\n  file: none.txt\n" CERTIFICATE PORTS,
     "none.txt': put it there, or correct 'file' in 'serials'"},
    {"name: a\norder: A-1\nrequire:\n  firmwear: 1.4.2\n",
     "job.yaml:4:3: unknown field 'firmwear'; did you mean 'firmware'?"},
    {"name: a\norder: A-1\nrequire:\n  image_hash: ab\n", "job.yaml:4:15: 'image_hash'"},
    {"name: a\norder: A-1\nrequire:\n  image_hash: "
     "zz00000000000000000000000000000000000000000000000000000000000000\n",
     "'image_hash' must be 64 lower-case hexadecimal digits"},
    {"name: a\norder: A-1\nrequire:\n  debug: opened\n", "'debug' must be closed"},
    {"name: a\norder: A-1\nrequire:\n  lifecycle: broken\n",
     "'lifecycle' must be factory or locked"},
    {"name: a\norder: A-1\nserials:\n  prefix: P-\n  digits: 5x\n  first: 1\n",
     "job.yaml:5:11: 'digits' must be a whole number from 1 to 12"},
    {"name: a\norder: A-1\nserials:\n  prefix: P-\n  digits: -5\n  first: 1\n",
     "job.yaml:5:11: 'digits' must be"},
    {"name: a\norder: A-1\nserials:\n  prefix: P-\n  digits: 13\n  first: 1\n",
     "job.yaml:5:11: 'digits' must be"},
    {"name: a\norder: A-1\nserials:\n  prefix: P-\n  digits: 0x4\n  first: 1\n",
     "job.yaml:5:11: 'digits' must be"},
    {"name: a\norder: A-1\nserials:\n  prefix: P-\n  digits: 99999999999999999999\n",
     "job.yaml:5:11: 'digits' must be"},
    {"name: a\norder: A-1\nserials:\n  prefix: P-\n  digits: [4]\n  first: 1\n",
     "job.yaml:5:3: 'digits' must be"},
    {"name: a\norder: A-1\nserials: P-\n", "job.yaml:3:1: expected 'name: value' lines"},
    {"name: a\norder: A-1\n" SERIALS CERTIFICATE "ports: []\n",
     "'ports' must be a list of 1 to 32 items"},
    {"name: a\norder: A-1\n" SERIALS CERTIFICATE "ports:\n  - name: /dev/ttyS0\n",
     "job.yaml:11:5: missing field 'slot'"},
    {"name: a\norder: A-1\n" SERIALS CERTIFICATE
     "ports:\n  - name: /dev/ttyS0\n    slot: A\n    baud: 12\n",
     "job.yaml:13:11: 'baud' must be a whole number from 300 to 12000000 (bits per second)"},
    {"name: a\norder: A-1\n" SERIALS CERTIFICATE "ports:\n  - usb: 1209-0001\n    slot: A\n",
     "rule 1 of 'ports': '1209-0001' is not VID:PID"},
    {"name: a\norder: A-1\n" SERIALS CERTIFICATE "ports:\n  - usb: 1209:001g\n    slot: A\n",
     "rule 1 of 'ports': '1209:001g' is not VID:PID"},
    {"name: a\norder: A-1\n" SERIALS CERTIFICATE "ports:\n  - usb_path: usb1/2\n    slot: A\n",
     "rule 1 of 'ports': 'usb1/2' is no place of a USB device"},
    {"name: a\norder: A-1\n" SERIALS CERTIFICATE
     "ports:\n  - usb: 1209:0001\n    usb_path: 1-2\n    slot: A\n",
     "rule 1 of 'ports' needs one of 'name', 'usb', 'usb_path', 'tcp' and 'unix'"},
    {"name: \"\"\norder: A-1\n" SERIALS CERTIFICATE PORTS,
     "job.yaml:1:8: 'name' must be a text of 1 to 64 bytes"},
    {"name: a\norder: A-1\nserials:\n  prefix: P-\n  digits: 1\n  first: 10\n" CERTIFICATE PORTS,
     "serial number 10 does not fit the 1 digits"},
    {"name: a\norder: \"\"\n" SERIALS CERTIFICATE PORTS,
     "job.yaml:2:9: 'order' must be a text of 1 to 64 bytes"},
    {"name: a\norder: A-1\nenrolled: none.txt\n" SERIALS CERTIFICATE PORTS, "none.txt"},
    /* Without the check of UTF-8 libfyaml never returned from the first of these. */
    {"%te\xeext: a\n", "job.yaml:1:4: this is not text in UTF-8"},
    {"name: a\norder: \xc3\n", "job.yaml:2:8: this is not text in UTF-8"},
    {"name: \x80\n", "job.yaml:1:7: this is not text in UTF-8"},
    {"name: \xc0\x80\n", "job.yaml:1:7: this is not text in UTF-8"},
    {"name: \xed\xa0\x80\n", "job.yaml:1:7: this is not text in UTF-8"},
    {"name: \xf4\x90\x80\x80\n", "job.yaml:1:7: this is not text in UTF-8"},
    {"name: \xc3\xbc \xe2\x82\xac \xf0\x9f\x94\x91\norder: A-1\nenrolled: none.txt\n" SERIALS
         CERTIFICATE PORTS,
     "none.txt"},
};

/* Each way to name ports, and how the other processes read it. */
static const struct {
    const char *rule, *pattern;
    bool is_address;
} patterns[] = {{"name: /dev/ttyS*", "/dev/ttyS*", false},
                {"usb: 1209:00aF", "usb:1209:00aF", false},
                {"usb_path: 1-2.[1-4]", "usb_path:1-2.[1-4]", false},
                {"tcp: 10.0.0.5:4001", "tcp:10.0.0.5:4001", true},
                {"unix: /run/x", "unix:/run/x", true}};

START_TEST(a_rule_names_ports_in_one_of_five_ways)
{
    struct error err = ERROR_INIT;
    char text[512], pattern[JOB_PATTERN_MAX + 1];
    struct job job;

    make_dir();
    snprintf(text, sizeof text,
             "name: a\norder: A-1\n" SERIALS CERTIFICATE "ports:\n  - %s\n    slot: A\n",
             patterns[_i].rule);
    put("job.yaml", text);
    ASSERT_OK(read_job(&job, &err), err);
    ck_assert(job_port_pattern(&job.ports[0], pattern) == patterns[_i].is_address);
    ck_assert_str_eq(pattern, patterns[_i].pattern);
    end(&job);
}
END_TEST

START_TEST(a_bad_job_is_refused_with_line_and_column)
{
    struct error err = ERROR_INIT;
    struct job job;

    make_dir();
    put("job.yaml", bad_jobs[_i].yaml);
    ck_assert_int_ne(read_job(&job, &err), 0);
    ck_assert_msg(strstr(err.text, bad_jobs[_i].expected) != NULL, "'%s' lacks '%s'", err.text,
                  bad_jobs[_i].expected);
    end(&job);
}
END_TEST

/* An order that fits GOOD_JOB, and the share of the station that runs it. */
static void fill_order(struct order *order)
{
    memset(order, 0, sizeof *order);
    strcpy(order->id, "A-1");
    order->station_count = 1;
    order->stations[0].serials = (struct order_serials)RANGE("P-", 4, 1, 100);
}

static const struct {
    struct order_serials range;
    bool fits;
} ranges[] = {
    {RANGE("P-", 4, 1, 100), true},   {RANGE("P-", 4, 0, 1), true},
    {RANGE("P-", 4, 2, 100), false},  {RANGE("P-", 4, 0, 0), false},
    {RANGE("P-", 5, 1, 100), false},  {RANGE("Q-", 4, 1, 100), false},
    {RANGE("P-0", 4, 1, 100), false},
};

START_TEST(the_serials_of_a_job_are_within_the_range_of_its_station)
{
    struct error err = ERROR_INIT;
    struct order order;
    struct job job;

    make_dir();
    put("job.yaml", GOOD_JOB);
    ASSERT_OK(read_job(&job, &err), err);
    fill_order(&order);
    order.stations[0].serials = ranges[_i].range;
    if (ranges[_i].fits) {
        ASSERT_OK(job_bind(&job, &order, &order.stations[0], &err), err);
    } else {
        ASSERT_FAILS(job_bind(&job, &order, &order.stations[0], &err), ERR_REFUSED);
        ck_assert_ptr_nonnull(strstr(err.text, "not this station's"));
    }
    end(&job);
}
END_TEST

static const struct {
    struct order_serials other; /* of the second station */
    bool fits;
} others[] = {
    {RANGE("A-", 3, 1, 6), true},
    {RANGE("A-", 3, 1, 7), false},
    {RANGE("A-", 4, 1, 100), true},
    {{.prefix = "A-", .kind = ORDER_SERIALS_PREFIX}, false},
    {{.prefix = "C-", .kind = ORDER_SERIALS_PREFIX}, true},
    {{.kind = ORDER_SERIALS_LIST}, true}, /* which cannot be seen */
};

/* The order's reader sees a hash, and the station of the numbers does too. */
START_TEST(a_list_has_no_serial_that_the_order_gives_another_station)
{
    static const char list[] = "B-1\nA-007\n";
    struct error err = ERROR_INIT;
    struct order order;
    struct job job;

    make_dir();
    put("list.txt", list);
    put("job.yaml", LISTED_JOB);
    ASSERT_OK(read_job(&job, &err), err);
    fill_order(&order);
    order.station_count = 2;
    order.stations[0].serials = others[_i].other;
    order.stations[1].serials = (struct order_serials){.kind = ORDER_SERIALS_LIST};
    sha256(list, strlen(list), order.stations[1].serials.list);
    if (others[_i].fits) {
        ASSERT_OK(job_bind(&job, &order, &order.stations[1], &err), err);
    } else {
        ASSERT_FAILS(job_bind(&job, &order, &order.stations[1], &err), ERR_REFUSED);
        ck_assert_ptr_nonnull(strstr(err.text, "list.txt:2:1"));
        ck_assert_ptr_nonnull(strstr(err.text, "to another station as well"));
    }
    end(&job);
}
END_TEST

/* Two certificates of vendors in a file, and an order that names some hashes. */
static void name_roots(struct job *job, struct order *order, const char *named)
{
    static const char *const roots[] = {"first root", "second root"};

    strcpy(job->vendor_roots_path, "roots.pem");
    for (size_t i = 0; i < 2; i++)
        buf_put_str(&job->vendor_roots[i], roots[i]);
    job->vendor_root_count = 2;
    fill_order(order);
    order->auth = ORDER_AUTH_ATTESTED;
    for (const char *p = named; *p; p++) {
        const char *text = *p == '1' ? roots[0] : *p == '2' ? roots[1] : "another root";

        sha256(text, strlen(text), order->vendor_roots[order->vendor_root_count++]);
    }
}

static const struct {
    const char *named; /* by the order: 1 and 2 are in the file, x is not */
    bool fits;
} named_roots[] = {{"12", true}, {"21", true},  {"1", false},  {"2", false},
                   {"x", false}, {"1x", false}, {"12x", false}};

START_TEST(the_file_of_vendor_roots_holds_those_of_the_order_and_no_other)
{
    struct error err = ERROR_INIT;
    struct order order;
    struct job job;

    make_dir();
    put("job.yaml", GOOD_JOB);
    ASSERT_OK(read_job(&job, &err), err);
    name_roots(&job, &order, named_roots[_i].named);
    if (named_roots[_i].fits) {
        ASSERT_OK(job_bind(&job, &order, &order.stations[0], &err), err);
    } else {
        ASSERT_FAILS(job_bind(&job, &order, &order.stations[0], &err), ERR_REFUSED);
        ck_assert_ptr_nonnull(strstr(err.text, "not exactly the vendor roots"));
    }
    job.vendor_roots_path[0] = 0;
    ASSERT_FAILS(job_bind(&job, &order, &order.stations[0], &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "add 'vendor_roots: FILE'"));
    end(&job);
}
END_TEST

#define KEY_A "1111111111111111111111111111111111111111111111111111111111111111"
#define KEY_B "2222222222222222222222222222222222222222222222222222222222222222"

START_TEST(a_list_of_enrolled_keys_must_be_the_one_of_the_order)
{
    static const char list[] = "# devices\n" KEY_B "\n" KEY_A "\n";
    struct error err = ERROR_INIT;
    uint8_t key[32], other[32];
    struct order order;
    struct job job;

    memset(key, 0x11, sizeof key);
    memset(other, 0x33, sizeof other);
    fill_order(&order);
    order.auth = ORDER_AUTH_ENROLLED;
    sha256(list, strlen(list), order.enrolled);
    make_dir();
    put("list.txt", list);
    put("job.yaml", GOOD_JOB "enrolled: list.txt\n");
    ASSERT_OK(read_job(&job, &err), err);
    ck_assert_uint_eq(job.enrolled_count, 2);
    ck_assert(job_is_enrolled(&job, key));
    ck_assert(!job_is_enrolled(&job, other));
    ASSERT_OK(job_bind(&job, &order, &order.stations[0], &err), err);
    job_done(&job);
    put("list.txt", KEY_B "\n");
    ASSERT_OK(read_job(&job, &err), err);
    ASSERT_FAILS(job_bind(&job, &order, &order.stations[0], &err), ERR_REFUSED);
    job_done(&job);
    put("job.yaml", GOOD_JOB);
    ASSERT_OK(read_job(&job, &err), err);
    ASSERT_FAILS(job_bind(&job, &order, &order.stations[0], &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "enrolled: FILE"));
    job_done(&job);
    put("list.txt", "nonsense\n");
    put("job.yaml", GOOD_JOB "enrolled: list.txt\n");
    ASSERT_FAILS(read_job(&job, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "list.txt:1:1"));
    end(&job);
}
END_TEST

START_TEST(trust_anchors_must_be_those_of_the_order)
{
    struct authority_name name = {"Owner", NULL, "root"};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct error err = ERROR_INIT;
    struct order order;
    char path[128];
    struct job job;
    X509 *cert;

    make_dir();
    fill_order(&order);
    ASSERT_OK(authority_root(&name, 1700000000, key, &cert, &err), err);
    snprintf(path, sizeof path, "%s/anchors.pem", dir);
    ASSERT_OK(cert_write(path, cert, &err), err);
    put("job.yaml", GOOD_JOB "trust_anchors: anchors.pem\n");
    ASSERT_OK(read_job(&job, &err), err);
    ASSERT_FAILS(job_bind(&job, &order, &order.stations[0], &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "not the ones that the order names"));
    order.has_trust_anchors = true;
    ASSERT_FAILS(job_bind(&job, &order, &order.stations[0], &err), ERR_REFUSED);
    sha256(job.trust_anchors.data, job.trust_anchors.len, order.trust_anchors);
    ASSERT_OK(job_bind(&job, &order, &order.stations[0], &err), err);
    job_done(&job);
    put("job.yaml", GOOD_JOB);
    ASSERT_OK(read_job(&job, &err), err);
    ASSERT_FAILS(job_bind(&job, &order, &order.stations[0], &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "trust_anchors: FILE"));
    X509_free(cert);
    EVP_PKEY_free(key);
    end(&job);
}
END_TEST

START_TEST(a_file_without_certificates_is_no_trust_anchor)
{
    struct error err = ERROR_INIT;
    struct job job;

    make_dir();
    put("anchors.pem", "no certificate");
    put("job.yaml", GOOD_JOB "trust_anchors: anchors.pem\n");
    ASSERT_FAILS(read_job(&job, &err), ERR_INPUT);
    job_done(&job);
    put("job.yaml", GOOD_JOB "trust_anchors: missing.pem\n");
    ASSERT_FAILS(read_job(&job, &err), ERR_MISSING);
    end(&job);
}
END_TEST

/* ---- objects: made as an owner does it, with openssl's own functions ---- */

static EVP_PKEY *object_key; /* signs the configuration */

static void put_public(const char *name, EVP_PKEY *key)
{
    BIO *pem = BIO_new(BIO_s_mem());
    char *text;
    long len;

    ck_assert(PEM_write_bio_PUBKEY(pem, key));
    BIO_write(pem, "", 1);
    len = BIO_get_mem_data(pem, &text);
    ck_assert_int_gt(len, 1);
    put(name, text);
    BIO_free(pem);
}

/* With or without the label that keeps one signature from passing for another. */
static void put_signature(const char *name, const char *contents, bool labelled)
{
    struct error err = ERROR_INIT;
    uint8_t sig[EC_SIG_SIZE], der[EC_SIG_DER_MAX];
    struct buf message;
    char path[128];
    size_t len;

    buf_init(&message, 1024);
    if (labelled)
        buf_put(&message, "imprint configuration v1", 25);
    buf_put_str(&message, contents);
    ASSERT_OK(ec_sign(object_key, message.data, message.len, sig, &err), err);
    ec_sig_to_der(sig, der, &len);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    ASSERT_OK(file_write(path, der, len, 0600, &err), err);
    buf_done(&message);
}

static void make_objects(void)
{
    EVP_PKEY *p384 = EVP_EC_gen("P-384");

    make_dir();
    object_key = EVP_EC_gen("P-256");
    put("config", "{\"server\":\"a.example\"}");
    put("empty", "");
    put_public("key.pem", object_key);
    put_public("p384.pem", p384);
    put_signature("config.sig", "{\"server\":\"a.example\"}", true);
    put_signature("other.sig", "{\"server\":\"b.example\"}", true);
    put_signature("bare.sig", "{\"server\":\"a.example\"}", false);
    EVP_PKEY_free(p384);
}

#define CONFIGURATION(file, signature, key)                                                        \
    "objects:\n  configuration: " file "\n  configuration_signature: " signature                   \
    "\n  configuration_key: " key "\n"

static const struct {
    const char *objects;
    int code;
    const char *says;
} bad_objects[] = {
    {"objects:\n  firmware_key: nowhere.pem\n", ERR_MISSING, "correct 'firmware_key'"},
    {"objects:\n  firmware_key: config\n", ERR_INPUT, "holds no PEM public key"},
    {"objects:\n  decommission_key: p384.pem\n", ERR_INPUT, "not a P-256 key"},
    {"objects:\n  configuration: config\n", ERR_INPUT, "go together"},
    {"objects:\n  configuration_signature: config.sig\n", ERR_INPUT, "go together"},
    {CONFIGURATION("config", "config.sig", "p384.pem"), ERR_INPUT, "not a P-256 key"},
    {CONFIGURATION("config", "other.sig", "key.pem"), ERR_SIGNATURE, "is not that of"},
    {CONFIGURATION("config", "bare.sig", "key.pem"), ERR_SIGNATURE, "imprint configuration v1"},
    {CONFIGURATION("config", "config", "key.pem"), ERR_INPUT, "not an ECDSA signature"},
    {CONFIGURATION("empty", "config.sig", "key.pem"), ERR_INPUT, "is empty"},
    {CONFIGURATION("config", "nowhere.sig", "key.pem"), ERR_MISSING, "'configuration_signature'"},
    {"objects:\n  root: key.pem\n", ERR_INPUT, "unknown field 'root'"},
};

START_TEST(an_object_that_devices_would_refuse_is_refused_when_the_job_is_read)
{
    struct error err = ERROR_INIT;
    struct job job;
    char text[2048];

    make_objects();
    snprintf(text, sizeof text, "%s%s", GOOD_JOB, bad_objects[_i].objects);
    put("job.yaml", text);
    ASSERT_FAILS(read_job(&job, &err), bad_objects[_i].code);
    ck_assert_msg(strstr(err.text, bad_objects[_i].says) != NULL, "%s", err.text);
    EVP_PKEY_free(object_key);
    end(&job);
}
END_TEST

START_TEST(objects_must_be_those_of_the_order)
{
    struct error err = ERROR_INIT;
    struct order order;
    struct job job;

    make_objects();
    fill_order(&order);
    put("job.yaml", GOOD_JOB CONFIGURATION(
                        "config", "config.sig",
                        "key.pem") "  firmware_key: p384.pem\n  decommission_key: key.pem\n");
    ASSERT_OK(read_job(&job, &err), err);
    ck_assert_uint_eq(job.objects[IMPRINT_OBJ_CONFIGURATION].bytes.len, 68 + 22);
    ck_assert_uint_eq(job.objects[IMPRINT_OBJ_DECOMMISSION_KEY].bytes.len, IMPRINT_SPKI_SIZE);
    for (unsigned type = IMPRINT_OBJ_FIRMWARE_KEY; type <= IMPRINT_OBJ_DECOMMISSION_KEY; type++) {
        if (!job_object_name(type))
            continue;
        ASSERT_FAILS(job_bind(&job, &order, &order.stations[0], &err), ERR_REFUSED);
        ck_assert_ptr_nonnull(strstr(err.text, job_object_name(type)));
        order.objects[type].named = true;
        ASSERT_FAILS(job_bind(&job, &order, &order.stations[0], &err), ERR_REFUSED);
        memcpy(order.objects[type].hash, job.objects[type].hash, 32);
    }
    ASSERT_OK(job_bind(&job, &order, &order.stations[0], &err), err);
    job_done(&job);
    put("job.yaml", GOOD_JOB);
    ASSERT_OK(read_job(&job, &err), err);
    ASSERT_FAILS(job_bind(&job, &order, &order.stations[0], &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "add 'firmware_key: FILE' to 'objects'"));
    EVP_PKEY_free(object_key);
    end(&job);
}
END_TEST

START_TEST(the_nearest_name_is_at_most_two_letters_off)
{
    static const char *const names[] = {"generate", "run", "seal", NULL};

    ck_assert_str_eq(schema_nearest("genrate", names), "generate");
    ck_assert_str_eq(schema_nearest("sela", names), "seal");
    ck_assert_ptr_null(schema_nearest("generous", names));
}
END_TEST

CHECK_ITEMS_MAIN(
    "job", ONCE(a_good_job_is_read_with_its_defaults),
    EACH_ROW(a_rule_names_ports_in_one_of_five_ways, patterns),
    EACH_ROW(a_bad_job_is_refused_with_line_and_column, bad_jobs),
    EACH_ROW(the_serials_of_a_job_are_within_the_range_of_its_station, ranges),
    EACH_ROW(a_list_has_no_serial_that_the_order_gives_another_station, others),
    EACH_ROW(the_file_of_vendor_roots_holds_those_of_the_order_and_no_other, named_roots),
    ONCE(a_list_of_enrolled_keys_must_be_the_one_of_the_order),
    ONCE(trust_anchors_must_be_those_of_the_order),
    ONCE(a_file_without_certificates_is_no_trust_anchor),
    EACH_ROW(an_object_that_devices_would_refuse_is_refused_when_the_job_is_read, bad_objects),
    ONCE(objects_must_be_those_of_the_order), ONCE(the_nearest_name_is_at_most_two_letters_off))
