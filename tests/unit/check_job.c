/* Jobs and orders: what is wrong is refused with its place and with what was expected. */
#include "check_util.h"

#include "base/codec.h"
#include "base/file.h"
#include "pki/digest.h"
#include "station/job.h"
#include "station/schema/schema.h"

#include <stdio.h>
#include <string.h>

#define GOOD_ORDER                                                                                 \
    "{\"type\":\"order\",\"id\":\"A-1\",\"environment\":\"test\",\"product\":\"09506000134352\","  \
    "\"profile\":\"idevid\",\"use\":\"registration\",\"device_auth\":\"none\",\"suites\":[1],"     \
    "\"lock\":true,\"counts\":{\"good\":10,\"max_issued\":12,\"spoilage\":1}}"

#define SERIALS     "serials:\n  prefix: P-\n  digits: 4\n  first: 1\n"
#define CERTIFICATE "certificate:\n  organization: Acme\n  hardware_type: 1.3.6.1.4.1.32473.1\n"
#define PORTS       "ports:\n  - name: /dev/ttyACM*\n    slot: A{n}\n"
#define GOOD_JOB    "name: lot 42\norder: order.json\n" SERIALS CERTIFICATE PORTS

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
    return job_read(path, NULL, job, err);
}

static void end(struct job *job)
{
    struct error err = ERROR_INIT;

    job_done(job);
    ASSERT_OK(file_remove_tree(dir, &err), err);
}

START_TEST(a_good_job_is_read_with_its_order_and_defaults)
{
    struct error err = ERROR_INIT;
    struct job job;
    uint8_t hash[32];

    make_dir();
    put("order.json", GOOD_ORDER);
    put("job.yaml", GOOD_JOB "link:\n  request_ms: 700\n");
    ASSERT_OK(read_job(&job, &err), err);
    ck_assert_str_eq(job.name, "lot 42");
    ck_assert_uint_eq(job.port_count, 1);
    ck_assert_str_eq(job.ports[0].slot, "A{n}");
    ck_assert_int_eq(job.ports[0].baud, 115200);
    ck_assert_int_eq(job.link.request_ms, 700);
    ck_assert_int_eq(job.link.hello_ms, 5000);
    ck_assert_str_eq(job.order.product, "09506000134352");
    ck_assert(job.order.lock);
    sha256(GOOD_ORDER, strlen(GOOD_ORDER), hash);
    ck_assert_mem_eq(job.order.hash, hash, 32);
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
    {"name: a\nname: b\norder: order.json\n", "job.yaml:2:"},
    {"name: a\norder: order.json\nserial:\n  prefix: P-\n",
     "job.yaml:3:1: unknown field 'serial'; did you mean 'serials'?"},
    {"name: a\norder: order.json\nzzzzzzz: 1\n", "job.yaml:3:1: unknown field 'zzzzzzz'"},
    {"name: a\norder: order.json\n" CERTIFICATE PORTS, "missing field 'serials'"},
    {"name: a\norder: order.json\nserials:\n  prefix: P-\n  digits: 4\n" CERTIFICATE PORTS,
     "job.yaml:4:3: missing field 'first'"},
    {"name: a\norder: order.json\nserials:\n  prefix: P-\n  digits: 5x\n  first: 1\n",
     "job.yaml:5:11: 'digits' must be a whole number from 1 to 12"},
    {"name: a\norder: order.json\nserials:\n  prefix: P-\n  digits: -5\n  first: 1\n",
     "job.yaml:5:11: 'digits' must be"},
    {"name: a\norder: order.json\nserials:\n  prefix: P-\n  digits: 13\n  first: 1\n",
     "job.yaml:5:11: 'digits' must be"},
    {"name: a\norder: order.json\nserials:\n  prefix: P-\n  digits: 0x4\n  first: 1\n",
     "job.yaml:5:11: 'digits' must be"},
    {"name: a\norder: order.json\nserials:\n  prefix: P-\n  digits: 99999999999999999999\n",
     "job.yaml:5:11: 'digits' must be"},
    {"name: a\norder: order.json\nserials:\n  prefix: P-\n  digits: [4]\n  first: 1\n",
     "job.yaml:5:3: 'digits' must be"},
    {"name: a\norder: order.json\nserials: P-\n", "job.yaml:3:1: expected 'name: value' lines"},
    {"name: a\norder: order.json\n" SERIALS CERTIFICATE "ports: []\n",
     "'ports' must be a list of 1 to 32 items"},
    {"name: a\norder: order.json\n" SERIALS CERTIFICATE "ports:\n  - name: /dev/ttyS0\n",
     "job.yaml:11:5: missing field 'slot'"},
    {"name: a\norder: order.json\n" SERIALS CERTIFICATE
     "ports:\n  - name: /dev/ttyS0\n    slot: A\n    baud: 12\n",
     "job.yaml:13:11: 'baud' must be a whole number from 300 to 12000000 (bits per second)"},
    {"name: \"\"\norder: order.json\n" SERIALS CERTIFICATE PORTS,
     "job.yaml:1:8: 'name' must be a text of 1 to 64 bytes"},
    {"name: a\norder: order.json\nserials:\n  prefix: P-\n  digits: 1\n  first: 10\n" CERTIFICATE
         PORTS,
     "serial number 10 does not fit the 1 digits"},
    {"name: a\norder: none.json\n" SERIALS CERTIFICATE PORTS, "none.json"},
    /* Without the check of UTF-8 libfyaml never returned from the first of these. */
    {"%te\xeext: a\n", "job.yaml:1:4: this is not text in UTF-8"},
    {"name: a\norder: \xc3\n", "job.yaml:2:8: this is not text in UTF-8"},
    {"name: \x80\n", "job.yaml:1:7: this is not text in UTF-8"},
    {"name: \xc0\x80\n", "job.yaml:1:7: this is not text in UTF-8"},
    {"name: \xed\xa0\x80\n", "job.yaml:1:7: this is not text in UTF-8"},
    {"name: \xf4\x90\x80\x80\n", "job.yaml:1:7: this is not text in UTF-8"},
    {"name: \xc3\xbc \xe2\x82\xac \xf0\x9f\x94\x91\norder: none.json\n" SERIALS CERTIFICATE PORTS,
     "none.json"},
};

START_TEST(a_bad_job_is_refused_with_line_and_column)
{
    struct error err = ERROR_INIT;
    struct job job;

    make_dir();
    put("order.json", GOOD_ORDER);
    put("job.yaml", bad_jobs[_i].yaml);
    ck_assert_int_ne(read_job(&job, &err), 0);
    ck_assert_msg(strstr(err.text, bad_jobs[_i].expected) != NULL, "'%s' lacks '%s'", err.text,
                  bad_jobs[_i].expected);
    end(&job);
}
END_TEST

static const struct {
    const char *json;
    const char *expected;
} bad_orders[] = {
    {"{", "line 1"},
    {"[]", "an object was expected"},
    {"{\"type\":\"order\",\"type\":\"order\"}", "duplicate"},
    {"{\"type\":\"amendment\"}", "member 'type' must be \"order\""},
    {"{\"type\":\"order\",\"quota\":1}", "unknown member 'quota'"},
    {"{\"type\":\"order\",\"profile\":\"matter\"}", "member 'profile'"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":1}", "member 'lock'"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"\"}", "member 'id'"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"\\u00e9\"}",
     "member 'id' must be printable ASCII"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":"
     "\"aaaaaaaaaaaaaaaaa\"}",
     "member 'environment'"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":\"t\","
     "\"product\":\"p\",\"use\":\"other\"}",
     "member 'use'"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":\"t\","
     "\"product\":\"p\",\"use\":\"operational\",\"suites\":[1]}",
     "'device_auth' must be \"none\" or \"enrolled\"; it has no default"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":\"t\","
     "\"product\":\"p\",\"use\":\"operational\",\"suites\":[1],\"device_auth\":\"enrolled\"}",
     "member 'enrolled' must be a SHA-256"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":\"t\","
     "\"product\":\"p\",\"use\":\"operational\",\"suites\":[7],\"device_auth\":\"none\"}",
     "member 'suites'"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":\"t\","
     "\"product\":\"p\",\"use\":\"operational\",\"suites\":[1],\"device_auth\":\"none\","
     "\"counts\":{\"good\":1,\"max_issued\":1,\"spoilage\":0},"
     "\"objects\":{\"firmware\":\"00\"}}",
     "unknown member 'firmware'"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":\"t\","
     "\"product\":\"p\",\"use\":\"operational\",\"suites\":[1],\"device_auth\":\"none\"}",
     "member 'counts' must be an object"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":\"t\","
     "\"product\":\"p\",\"use\":\"operational\",\"suites\":[1],\"device_auth\":\"none\",\"counts\":"
     "{\"good\":0,\"max_issued\":1,\"spoilage\":0}}",
     "member 'good'"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":\"t\","
     "\"product\":\"p\",\"use\":\"operational\",\"suites\":[1],\"device_auth\":\"none\",\"counts\":"
     "{\"good\":2,\"max_issued\":1,\"spoilage\":0}}",
     "member 'max_issued'"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":\"t\","
     "\"product\":\"p\",\"use\":\"operational\",\"suites\":[1],\"device_auth\":\"none\",\"counts\":"
     "{\"good\":1.5,\"max_issued\":1,\"spoilage\":0}}",
     "member 'good'"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":\"t\","
     "\"product\":\"p\",\"use\":\"operational\",\"suites\":[1],\"device_auth\":\"none\",\"counts\":"
     "{\"good\":1,\"max_issued\":1,\"spoilage\":-1}}",
     "member 'spoilage'"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":\"t\","
     "\"product\":\"p\",\"use\":\"operational\",\"suites\":[1],\"device_auth\":\"none\",\"counts\":"
     "{\"good\":1,\"max_issued\":1,\"spoilage\":0,\"rework\":1}}",
     "unknown member 'rework'"},
    {"{\"type\":\"order\",\"profile\":\"idevid\",\"lock\":true,\"id\":\"a\",\"environment\":\"t\","
     "\"product\":\"p\",\"use\":\"operational\",\"suites\":[1],\"device_auth\":\"none\",\"counts\":"
     "{\"good\":1,\"max_issued\":999999999999,\"spoilage\":0}}",
     "member 'max_issued'"},
};

START_TEST(a_bad_order_is_refused_with_its_member)
{
    struct error err = ERROR_INIT;
    struct order order;
    const char *json = bad_orders[_i].json;

    ASSERT_FAILS(order_parse("order.json", json, strlen(json), &order, &err), ERR_INPUT);
    ck_assert_msg(strstr(err.text, bad_orders[_i].expected) != NULL, "'%s' lacks '%s'", err.text,
                  bad_orders[_i].expected);
}
END_TEST

/* An order for enrolled devices whose list has this hash. */
static void put_enrolled_order(const char *list)
{
    char hex[65], text[600];
    uint8_t hash[32];

    sha256(list, strlen(list), hash);
    hex_encode(hash, 32, hex);
    snprintf(text, sizeof text,
             "{\"type\":\"order\",\"id\":\"A-1\",\"environment\":\"test\",\"product\":\"p\","
             "\"profile\":\"idevid\",\"use\":\"registration\",\"device_auth\":\"enrolled\","
             "\"enrolled\":\"%s\",\"suites\":[1],\"lock\":false,"
             "\"counts\":{\"good\":10,\"max_issued\":12,\"spoilage\":1}}",
             hex);
    put("order.json", text);
}

#define KEY_A "1111111111111111111111111111111111111111111111111111111111111111"
#define KEY_B "2222222222222222222222222222222222222222222222222222222222222222"

START_TEST(a_list_of_enrolled_keys_must_be_the_one_of_the_order)
{
    struct error err = ERROR_INIT;
    struct job job;
    uint8_t key[32], other[32];

    memset(key, 0x11, sizeof key);
    memset(other, 0x33, sizeof other);
    make_dir();
    put_enrolled_order("# devices\n" KEY_B "\n" KEY_A "\n");
    put("list.txt", "# devices\n" KEY_B "\n" KEY_A "\n");
    put("job.yaml", GOOD_JOB "enrolled: list.txt\n");
    ASSERT_OK(read_job(&job, &err), err);
    ck_assert_uint_eq(job.enrolled_count, 2);
    ck_assert(job_is_enrolled(&job, key));
    ck_assert(!job_is_enrolled(&job, other));
    job_done(&job);
    put("list.txt", KEY_B "\n");
    ASSERT_FAILS(read_job(&job, &err), ERR_REFUSED);
    job_done(&job);
    put("job.yaml", GOOD_JOB);
    ASSERT_FAILS(read_job(&job, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "enrolled: FILE"));
    job_done(&job);
    put_enrolled_order("nonsense\n");
    put("list.txt", "nonsense\n");
    put("job.yaml", GOOD_JOB "enrolled: list.txt\n");
    ASSERT_FAILS(read_job(&job, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "list.txt:1:1"));
    end(&job);
}
END_TEST

START_TEST(trust_anchors_that_the_order_does_not_name_are_refused)
{
    struct error err = ERROR_INIT;
    struct job job;

    make_dir();
    put("order.json", GOOD_ORDER);
    put("anchors.pem", "no certificate");
    put("job.yaml", GOOD_JOB "trust_anchors: anchors.pem\n");
    ASSERT_FAILS(read_job(&job, &err), ERR_INPUT);
    job_done(&job);
    put("job.yaml", GOOD_JOB "trust_anchors: missing.pem\n");
    ASSERT_FAILS(read_job(&job, &err), ERR_MISSING);
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

CHECK_ITEMS_MAIN("job", ONCE(a_good_job_is_read_with_its_order_and_defaults),
                 EACH_ROW(a_bad_job_is_refused_with_line_and_column, bad_jobs),
                 EACH_ROW(a_bad_order_is_refused_with_its_member, bad_orders),
                 ONCE(a_list_of_enrolled_keys_must_be_the_one_of_the_order),
                 ONCE(trust_anchors_that_the_order_does_not_name_are_refused),
                 ONCE(the_nearest_name_is_at_most_two_letters_off))
