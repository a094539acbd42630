/* What an order may say: every member, what it must be, and what is refused by name. */
#include "check_util.h"

#include "pki/digest.h"
#include "station/order.h"
#include "station/order_exports.h"

#include <string.h>

#define PROFILE                                                                                    \
    "{\"name\":\"idevid\",\"sha256\":"                                                             \
    "\"5866508f9cc104917893e0f6e8fb94a2109fee699691c954e01f287d87461cb7\"}"
#define KEY_A    "1111111111111111111111111111111111111111111111111111111111111111"
#define KEY_B    "2222222222222222222222222222222222222222222222222222222222222222"
#define ISSUER_A "3333333333333333333333333333333333333333333333333333333333333333"
#define COUNTS   "\"good\":10,\"max_issued\":12,\"spoilage\":3,\"rework\":2"
#define SHARE_A  "\"good\":6,\"max_issued\":7,\"spoilage\":2,\"rework\":1"
#define SHARE_B  "\"good\":4,\"max_issued\":5,\"spoilage\":1,\"rework\":1"
#define RANGE_B  "{\"prefix\":\"P-\",\"digits\":4,\"first\":101,\"last\":200}"
#define ROOT     "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static const char good_order[] =
    "{\"type\":\"order\",\"id\":\"A-1\",\"environment\":\"test\",\"product\":\"pump\","
    "\"gtin\":\"09506000134352\",\"profile\":" PROFILE ",\"use\":\"registration\","
    "\"valid\":{\"from\":\"2026-01-01T00:00:00Z\",\"until\":\"2026-12-31T00:00:00Z\"},"
    "\"software_hsm\":true,\"lock\":true,\"device_auth\":\"none\",\"key_modes\":[\"hsm\"],"
    "\"suites\":[1,2],\"drivers\":[\"native\"],\"objects\":{\"trust_anchors\":\"" ISSUER_A "\"},"
    "\"counts\":{" COUNTS "},\"stations\":["
    "{\"key\":\"" KEY_A "\",\"issuer\":\"" ISSUER_A "\"," SHARE_A ","
    "\"serials\":{\"prefix\":\"P-\",\"digits\":4,\"first\":1,\"last\":100},"
    "\"after\":{\"origin\":\"a/b\",\"size\":7,\"root\":\"" ROOT "\"}},"
    "{\"key\":\"" KEY_B "\",\"issuer\":\"" ISSUER_A "\"," SHARE_B ","
    "\"serials\":" RANGE_B "}]}";

static struct order order; /* large for a stack */

static int parse(const char *json, struct error *err)
{
    return order_parse("order.json", json, strlen(json), &order, err);
}

START_TEST(a_good_order_is_read_with_every_member)
{
    struct error err = ERROR_INIT;
    uint8_t hash[32], key[32], root[32];
    const struct order_share *share;

    ASSERT_OK(parse(good_order, &err), err);
    sha256(good_order, strlen(good_order), hash);
    sha256("", 0, root);
    ck_assert_mem_eq(order.hash, hash, 32);
    ck_assert_int_eq(order.type, ORDER_FIRST);
    ck_assert_str_eq(order.id, "A-1");
    ck_assert_str_eq(order.environment, "test");
    ck_assert_str_eq(order.product, "pump");
    ck_assert_str_eq(order.gtin, "09506000134352");
    ck_assert_str_eq(order.use, "registration");
    ck_assert_int_eq(order.from, INT64_C(1767225600));
    ck_assert_int_eq(order.until, INT64_C(1798675200));
    ck_assert(order.software_hsm && order.lock && order.has_trust_anchors);
    ck_assert_int_eq(order.auth, ORDER_AUTH_NONE);
    ck_assert_uint_eq(order.suite_count, 2);
    ck_assert_int_eq(order.counts.rework, 2);
    ck_assert_uint_eq(order.station_count, 2);
    memset(key, 0x22, sizeof key);
    share = order_share_of(&order, key);
    ck_assert_ptr_eq(share, &order.stations[1]);
    ck_assert_int_eq(share->counts.max_issued, 5);
    ck_assert_int_eq(share->serials.first, 101);
    ck_assert(!share->has_after);
    ck_assert(order.stations[0].has_after);
    ck_assert_int_eq(order.stations[0].after.size, 7);
    ck_assert_str_eq(order.stations[0].after.origin, "a/b");
    ck_assert_mem_eq(order.stations[0].after.root, root, 32);
    memset(key, 0x44, sizeof key);
    ck_assert_ptr_null(order_share_of(&order, key));
}
END_TEST

static const struct {
    const char *exports, *prefix_a, *prefix_b, *expected; /* NULL: a good order */
} exported[] = {
    {"\"aws-iot\"", "P-", "Q-", NULL},
    {"\"aws-iot\"", "P:", "Q.", "'aws-iot' would refuse 'Q.0101'"},
    {"\"aws-iot-no-ca\"", "P#", "Q-", "'aws-iot-no-ca' would refuse 'P#0001'"},
    {"\"azure-iot-hub\"", "P#", "Q.", NULL},
    {"\"azure-iot-hub\"", "P:", "Q-", "'azure-iot-hub' would refuse 'P:0001'"},
    {"\"azure-dps\"", "P.", "Q:", NULL},
    {"\"aws-iot\",\"azure-dps\"", "P+", "Q-", "'aws-iot' would refuse"},
    {"\"azure-dps\"", "P+", "Q-", "'azure-dps' would refuse"},
    {"\"nrf-cloud\"", "P.", "Q-", "'nrf-cloud' would refuse"},
    {"\"microchip\"", "P.", "Q-", "'microchip' would refuse"},
    {"\"espressif\"", "P,", "Q-", "'espressif' would refuse"},
    {"\"opc-ua\"", "P,", "Q-", NULL},
};

START_TEST(serials_that_a_platform_refuses)
{
    struct error err = ERROR_INIT;
    char json[4096], *second, prefix[64];
    int rc;

    snprintf(json, sizeof json, "%s", good_order);
    second = strstr(strstr(json, "\"P-\"") + 1, "\"P-\"");
    second[1] = exported[_i].prefix_b[0];
    second[2] = exported[_i].prefix_b[1];
    second = strstr(json, "\"P-\"");
    if (second) {
        second[1] = exported[_i].prefix_a[0];
        second[2] = exported[_i].prefix_a[1];
    }
    snprintf(prefix, sizeof prefix, ",\"exports\":[%s]}", exported[_i].exports);
    strcpy(json + strlen(json) - 1, prefix);
    rc = parse(json, &err);
    if (!exported[_i].expected) {
        ASSERT_OK(rc, err);
        ASSERT_OK(order_exports_serial(&order, "P-0007", &err), err);
        return;
    }
    ASSERT_FAILS(rc, ERR_INPUT);
    ck_assert_msg(strstr(err.text, exported[_i].expected) != NULL, "'%s'", err.text);
}
END_TEST

/* To Azure's DPS "P-" and "p-" are one. */
START_TEST(serials_that_differ_in_case_alone)
{
    struct error err = ERROR_INIT;
    char json[4096], *at;

    for (int folds = 0; folds < 2; folds++) {
        snprintf(json, sizeof json, "%s", good_order);
        at = strstr(json, "\"prefix\":\"P-\",\"digits\":4,\"first\":101,\"last\":200");
        memcpy(at, "\"prefix\":\"p-\",\"digits\":4,\"first\":1,  \"last\":200", 47);
        strcpy(json + strlen(json) - 1,
               folds ? ",\"exports\":[\"azure-dps\"]}" : ",\"exports\":[\"azure-iot-hub\"]}");
        if (folds)
            ASSERT_FAILS(parse(json, &err), ERR_INPUT);
        else
            ASSERT_OK(parse(json, &err), err);
    }
    ck_assert_ptr_nonnull(strstr(err.text, "case alone"));
}
END_TEST

START_TEST(a_single_serial_is_held_to_the_platforms)
{
    struct error err = ERROR_INIT;
    char json[4096];

    snprintf(json, sizeof json, "%.*s,\"exports\":[\"aws-iot\"]}", (int)strlen(good_order) - 1,
             good_order);
    ASSERT_OK(parse(json, &err), err);
    ASSERT_OK(order_exports_serial(&order, "any-1", &err), err);
    ASSERT_FAILS(order_exports_serial(&order, "any.1", &err), ERR_REFUSED);
}
END_TEST

/* good_order with one text in the place of another. */
static void change_in(const char *text, const char *find, const char *with, char *out, size_t size)
{
    const char *at = strstr(text, find);

    ck_assert_msg(at != NULL, "'%s' is not in the order", find);
    snprintf(out, size, "%.*s%s%s", (int)(at - text), text, with, at + strlen(find));
}

static void change(const char *find, const char *with, char *out, size_t size)
{
    change_in(good_order, find, with, out, size);
}

static const struct {
    const char *find, *with;
} good_changes[] = {
    {"\"gtin\":\"09506000134352\",", ""},
    {"\"lock\":true", "\"lock\":true,\"exports\":[\"aws-iot\",\"azure-dps\"]"},
    {"\"registration\"", "\"operational\""},
    {"\"software_hsm\":true", "\"software_hsm\":false"},
    {"\"lock\":true", "\"lock\":false"},
    {"\"suites\":[1,2]", "\"suites\":[2]"},
    {"\"device_auth\":\"none\"", "\"device_auth\":\"enrolled\",\"enrolled\":\"" KEY_A "\""},
    {"\"device_auth\":\"none\"", "\"device_auth\":\"attested\",\"vendor_roots\":[\"" KEY_A "\"]"},
    {"\"type\":\"order\"", "\"type\":\"amendment\",\"amends\":\"" KEY_A "\""},
    {"\"type\":\"order\"",
     "\"type\":\"amendment\",\"amends\":\"" KEY_A "\",\"recovery\":\"" KEY_A "\""},
    {",\"objects\":{\"trust_anchors\":\"" ISSUER_A "\"}", ""},
    {"\"first\":101,\"last\":200", "\"first\":101,\"last\":105"},
    {"\"prefix\":\"P-\",\"digits\":4,\"first\":101", "\"prefix\":\"Q-\",\"digits\":4,\"first\":1"},
    {"\"prefix\":\"P-\",\"digits\":4,\"first\":101", "\"prefix\":\"P-X\",\"digits\":3,\"first\":1"},
};

/* The text with another in the place of one. */
static void swap(char *json, size_t size, const char *find, const char *with)
{
    char whole[4096];

    snprintf(whole, sizeof whole, "%s", json);
    change_in(whole, find, with, json, size);
}

/* One share of the station's own CA, the other of a hosted one. */
START_TEST(a_station_whose_ca_is_hosted)
{
    struct error err = ERROR_INIT;
    char json[4096];

    change("\"issuer\":\"" ISSUER_A "\"," SHARE_B, "\"hosted\":[\"" KEY_A "\"]," SHARE_B, json,
           sizeof json);
    ASSERT_OK(parse(json, &err), err);
    ck_assert(!order.stations[0].hosted && order.stations[1].hosted);
    ck_assert_uint_eq(order.stations[1].issuer_count, 1);
    swap(json, sizeof json, "\"issuer\":\"" ISSUER_A "\"", "\"hosted\":\"" KEY_A "\"");
    ASSERT_FAILS(parse(json, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "a CA that no station before has"));
    swap(json, sizeof json, "\"hosted\":\"" KEY_A "\"", "\"hosted\":\"" KEY_B "\"");
    ASSERT_OK(parse(json, &err), err);
    swap(json, sizeof json, "[\"hsm\"]", "[\"hsm\",\"device\"]");
    ASSERT_FAILS(parse(json, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "no device waits for it"));
}
END_TEST

START_TEST(what_an_order_may_say_as_well)
{
    struct error err = ERROR_INIT;
    char json[4096];

    change(good_changes[_i].find, good_changes[_i].with, json, sizeof json);
    ASSERT_OK(parse(json, &err), err);
}
END_TEST

static const struct {
    const char *find, *with, *expected;
} bad_changes[] = {
    {"{\"type\"", "[\"type\"", "line 1"},
    {"\"id\":\"A-1\"", "\"id\":\"A-1\",\"id\":\"A-1\"", "duplicate"},
    {"\"type\":\"order\",", "", "member 'type'"},
    {"\"type\":\"order\"", "\"type\":\"recovery\"", "\"order\" or \"amendment\""},
    {"\"type\":\"order\"", "\"type\":\"amendment\"", "member 'amends'"},
    {"\"type\":\"order\"", "\"type\":\"order\",\"recovery\":\"" KEY_A "\"",
     "'recovery' must be left"},
    {"\"type\":\"order\"", "\"type\":\"amendment\",\"amends\":\"" KEY_A "\",\"recovery\":\"1\"",
     "'recovery'"},
    {"\"type\":\"order\"", "\"type\":\"order\",\"amends\":\"" KEY_A "\"", "'amends' must be left"},
    {"\"type\":\"order\"", "\"type\":\"order\",\"quota\":1", "unknown member 'quota'"},
    {"\"lock\":true", "\"lock\":true,\"exports\":[]", "'exports' must be a list of different"},
    {"\"lock\":true", "\"lock\":true,\"exports\":[\"cloud\"]", "nrf-cloud, opc-ua"},
    {"\"lock\":true", "\"lock\":true,\"exports\":[\"aws-iot\",\"aws-iot\"]", "'exports' must"},
    {"\"lock\":true,", "\"lock\":true,\"exports\":[\"aws-iot\"],\"lock\":true,", "duplicate"},
    {"\"id\":\"A-1\"", "\"id\":\"\"", "member 'id'"},
    {"\"id\":\"A-1\"", "\"id\":\"\\u00e9\"", "member 'id' must be printable ASCII"},
    {"\"id\":\"A-1\",", "", "member 'id'"},
    {"\"environment\":\"test\"", "\"environment\":\"aaaaaaaaaaaaaaaaa\"", "member 'environment'"},
    {"\"product\":\"pump\"", "\"product\":\"a pump\"", "'product' must be without blanks"},
    {"09506000134352", "09506000134353", "member 'gtin' must be 14 digits"},
    {"09506000134352", "9506000134352", "member 'gtin'"},
    {"09506000134352", "0950600013435X", "member 'gtin'"},
    {"\"profile\":" PROFILE, "\"profile\":\"idevid\"", "member 'profile'"},
    {"\"profile\":" PROFILE, "\"profile\":{}", "member 'name'"},
    {"\"profile\":" PROFILE, "\"profile\":{\"name\":\"idevid\"}", "member 'sha256'"},
    {"\"profile\":" PROFILE, "\"profile\":{\"name\":\"idevid\",\"sha256\":\"00\"}",
     "member 'sha256'"},
    {"\"name\":\"idevid\"", "\"name\":\"\"", "member 'name'"},
    {"\"name\":\"idevid\"", "\"name\":\"an idevid\"", "member 'name'"},
    {"\"name\":\"idevid\"", "\"name\":\"idevid\",\"file\":\"x\"", "unknown member"},
    {"\"use\":\"registration\"", "\"use\":\"other\"", "member 'use'"},
    {"\"from\":\"2026-01-01T00:00:00Z\"", "\"from\":\"2026-01-01\"", "member 'from'"},
    {"\"from\":\"2026-01-01T00:00:00Z\"", "\"from\":\"2026-02-30T00:00:00Z\"", "member 'from'"},
    {"\"until\":\"2026-12-31", "\"until\":\"2026-01-01", "'until' must be later"},
    {"\"until\":\"2026-12-31T00:00:00Z\"", "\"until\":\"2026-12-31T00:00:00Z\",\"tz\":1",
     "unknown member 'tz'"},
    {"\"valid\":{\"from\":\"2026-01-01T00:00:00Z\",\"until\":\"2026-12-31T00:00:00Z\"},", "",
     "member 'valid'"},
    {"\"software_hsm\":true,", "", "member 'software_hsm' must be true or false"},
    {"\"lock\":true", "\"lock\":1", "member 'lock'"},
    {"\"device_auth\":\"none\",", "", "it has no default"},
    {"\"device_auth\":\"none\"", "\"device_auth\":\"maybe\"", "member 'device_auth'"},
    {"\"device_auth\":\"none\"", "\"device_auth\":\"enrolled\"", "member 'enrolled'"},
    {"\"device_auth\":\"none\"", "\"device_auth\":\"none\",\"enrolled\":\"" KEY_A "\"",
     "'enrolled' must be left out"},
    {"\"device_auth\":\"none\"", "\"device_auth\":\"attested\"", "member 'vendor_roots'"},
    {"\"device_auth\":\"none\"", "\"device_auth\":\"attested\",\"vendor_roots\":[\"11\"]",
     "member 'vendor_roots'"},
    {"\"device_auth\":\"none\"", "\"device_auth\":\"none\",\"vendor_roots\":[\"" KEY_A "\"]",
     "'vendor_roots' must be left out"},
    {"\"key_modes\":[\"hsm\"]", "\"key_modes\":[\"magic\"]", "member 'key_modes'"},
    {"\"key_modes\":[\"hsm\"]", "\"key_modes\":[\"hsm\",\"hsm\"]", "member 'key_modes'"},
    {"\"key_modes\":[\"hsm\"]", "\"key_modes\":[\"hsm\",7]", "member 'key_modes'"},
    {"\"key_modes\":[\"hsm\"]", "\"key_modes\":[]", "member 'key_modes'"},
    {"\"key_modes\":[\"hsm\"]", "\"key_modes\":\"hsm\"", "member 'key_modes'"},
    {"\"key_modes\":[\"hsm\"],", "", "member 'key_modes'"},
    {"\"drivers\":[\"native\"]", "\"drivers\":[\"shell\"]", "member 'drivers'"},
    {"\"drivers\":[\"native\"],", "", "member 'drivers'"},
    {"\"suites\":[1,2]", "\"suites\":[7]", "member 'suites'"},
    {"\"suites\":[1,2]", "\"suites\":[]", "member 'suites'"},
    {"{\"trust_anchors\":\"" ISSUER_A "\"}", "{\"firmware\":\"00\"}", "unknown member 'firmware'"},
    {"{\"trust_anchors\":\"" ISSUER_A "\"}", "{\"trust_anchors\":\"00\"}",
     "member 'trust_anchors'"},
    {"{\"trust_anchors\":\"" ISSUER_A "\"}", "{\"configuration\":1}", "member 'configuration'"},
    {"{\"trust_anchors\":\"" ISSUER_A "\"}", "{\"decommission_key\":\"" ISSUER_A "x\"}",
     "member 'decommission_key'"},
    {"\"counts\":{" COUNTS "},", "", "member 'counts'"},
    {COUNTS, "\"good\":0,\"max_issued\":12,\"spoilage\":3,\"rework\":2", "member 'good'"},
    {COUNTS, "\"good\":13,\"max_issued\":12,\"spoilage\":3,\"rework\":2", "'max_issued'"},
    {COUNTS, "\"good\":1.5,\"max_issued\":12,\"spoilage\":3,\"rework\":2", "member 'good'"},
    {COUNTS, "\"good\":10,\"max_issued\":999999999999,\"spoilage\":3,\"rework\":2", "'max_issued'"},
    {COUNTS, "\"good\":10,\"max_issued\":12,\"spoilage\":-1,\"rework\":2", "member 'spoilage'"},
    {COUNTS, "\"good\":10,\"max_issued\":12,\"spoilage\":3", "member 'rework'"},
    {COUNTS, COUNTS ",\"bad\":1", "unknown member 'bad'"},
    /* the shares together */
    {COUNTS, "\"good\":9,\"max_issued\":12,\"spoilage\":3,\"rework\":2", "at most the counts"},
    {COUNTS, "\"good\":10,\"max_issued\":11,\"spoilage\":3,\"rework\":2", "at most the counts"},
    {COUNTS, "\"good\":10,\"max_issued\":12,\"spoilage\":2,\"rework\":2", "at most the counts"},
    {COUNTS, "\"good\":10,\"max_issued\":12,\"spoilage\":3,\"rework\":1", "at most the counts"},
    /* each share */
    {"\"stations\":[", "\"stations\":[1,", "member 'stations[0].'"},
    {"\"key\":\"" KEY_A "\",", "", "member 'stations[0].key'"},
    {"\"issuer\":\"" ISSUER_A "\"," SHARE_B, SHARE_B, "member 'stations[1].issuer'"},
    {"\"issuer\":\"" ISSUER_A "\"," SHARE_B, "\"issuer\":[]," SHARE_B, "1 to 8 issuing CAs"},
    {"\"issuer\":\"" ISSUER_A "\"," SHARE_B, "\"issuer\":[1]," SHARE_B, "'stations[1].issuer'"},
    {"\"issuer\":\"" ISSUER_A "\"," SHARE_B, "\"issuer\":\"aa\"," SHARE_B,
     "a SHA-256 in 64 hexadecimal digits, or a list"},
    {"\"issuer\":\"" ISSUER_A "\"," SHARE_B,
     "\"issuer\":[\"" ISSUER_A "\",\"" ISSUER_A "\"]," SHARE_B, "each issuing CA once"},
    {"\"issuer\":\"" ISSUER_A "\"," SHARE_B,
     "\"issuer\":\"" ISSUER_A "\",\"hosted\":\"" KEY_A "\"," SHARE_B,
     "'stations[1].hosted' must be left out where there is an issuer"},
    {"\"issuer\":\"" ISSUER_A "\"," SHARE_B, "\"hosted\":7," SHARE_B, "'stations[1].hosted'"},
    {"\"issuer\":\"" ISSUER_A "\"," SHARE_B, "\"hosted\":[]," SHARE_B, "1 to 8 issuing CAs"},
    {SHARE_A, "\"good\":8,\"max_issued\":7,\"spoilage\":2,\"rework\":1",
     "member 'stations[0].max_issued'"},
    {SHARE_A, SHARE_A ",\"name\":\"x\"", "unknown member 'stations[0].name'"},
    {KEY_B, KEY_A, "'stations[1].key' must be of a station that is not listed before"},
    {"\"first\":101,", "\"first\":100,", "'stations[1].serials' must be apart"},
    {"\"last\":100}", "\"last\":101}", "'stations[1].serials' must be apart"},
    {"\"prefix\":\"P-\",\"digits\":4,\"first\":101", "\"prefix\":\"P-0\",\"digits\":3,\"first\":1",
     "'stations[1].serials' must be apart"},
    {"\"last\":200", "\"last\":104", "'stations[1].last' must be a number of so many digits"},
    {"\"last\":200", "\"last\":10000", "'stations[1].last'"},
    {"\"digits\":4,\"first\":101", "\"digits\":13,\"first\":101", "'stations[1].digits'"},
    {"\"digits\":4,\"first\":1,", "\"digits\":4,\"first\":-1,", "'stations[0].first'"},
    {"\"digits\":4,\"first\":1,", "\"digits\":4,\"step\":1,\"first\":1,", "'stations[0].step'"},
    {"\"prefix\":\"P-\",", "\"prefix\":\"P \",", "'stations[0].prefix' must be without blanks"},
    {",\"serials\":{\"prefix\":\"P-\",\"digits\":4,\"first\":101,\"last\":200}", "",
     "member 'stations[1].serials'"},
    {RANGE_B, "{\"prefix\":\"P\"}", "'stations[1].serials' must be apart"},
    {RANGE_B, "{\"prefix\":\"\"}", "'stations[1].serials' must be apart"},
    {RANGE_B, "{\"prefix\":\"p-0\"}", "'stations[1].serials' must be apart"},
    {RANGE_B, "{\"prefix\":\"Q#\"}", "'stations[1].prefix'"},
    {RANGE_B, "{\"prefix\":1}", "'stations[1].prefix'"},
    {RANGE_B, "{\"prefix\":\"Q\",\"digits\":4}", "'stations[1].first'"},
    {RANGE_B, "{}", "'stations[1].prefix'"},
    {RANGE_B, "{\"list\":\"00\"}", "'stations[1].list'"},
    {RANGE_B, "{\"list\":\"" KEY_A "\",\"prefix\":\"Q\"}", "unknown member 'stations[1].prefix'"},
    {"\"size\":7", "\"size\":0", "'stations[0].size'"},
    {ROOT, "47DEQpj8", "'stations[0].root'"},
    {"\"origin\":\"a/b\",", "", "'stations[0].origin'"},
    {"\"origin\":\"a/b\",", "\"origin\":\"a/b\",\"seq\":1,", "unknown member 'stations[0].seq'"},
};

/* Which texts are a station's, by the form of its serials. */
static const struct {
    const char *with, *serial;
    bool held;
} forms[] = {
    {RANGE_B, "P-0101", true},
    {RANGE_B, "P-0200", true},
    {RANGE_B, "P-0100", false},
    {RANGE_B, "P-0201", false},
    {RANGE_B, "P-00101", false},
    {RANGE_B, "P-101", false},
    {RANGE_B, "P-010A", false},
    {RANGE_B, "p-0101", false},
    {RANGE_B, "P-", false},
    {"{\"prefix\":\"Q/\"}", "Q/anything?", true},
    {"{\"prefix\":\"Q/\"}", "Q/", true},
    {"{\"prefix\":\"Q/\"}", "Q", false},
    {"{\"prefix\":\"Q/\"}", "q/1", false},
    {"{\"list\":\"" KEY_A "\"}", "P-0101", false},
};

START_TEST(a_station_has_the_serials_of_a_range_a_prefix_or_a_list)
{
    struct error err = ERROR_INIT;
    char json[4096];

    change(RANGE_B, forms[_i].with, json, sizeof json);
    ASSERT_OK(parse(json, &err), err);
    ck_assert(order_serials_hold(&order.stations[1].serials, forms[_i].serial) == forms[_i].held);
}
END_TEST

START_TEST(a_bad_order_is_refused_with_its_member)
{
    struct error err = ERROR_INIT;
    char json[4096];

    change(bad_changes[_i].find, bad_changes[_i].with, json, sizeof json);
    ASSERT_FAILS(parse(json, &err), ERR_INPUT);
    ck_assert_msg(strstr(err.text, bad_changes[_i].expected) != NULL, "'%s' lacks '%s'", err.text,
                  bad_changes[_i].expected);
}
END_TEST

START_TEST(an_order_without_stations_or_with_too_many_is_refused)
{
    static char json[ORDER_FILE_MAX];
    struct error err = ERROR_INIT;
    size_t len = (size_t)(strstr(good_order, "\"stations\"") - good_order);

    snprintf(json, sizeof json, "%.*s\"stations\":[]}", (int)len, good_order);
    ASSERT_FAILS(parse(json, &err), ERR_INPUT);
    snprintf(json, sizeof json, "%.*s\"stations\":[0", (int)len, good_order);
    for (int i = 0; i < ORDER_STATIONS_MAX; i++)
        strcat(json, ",0");
    strcat(json, "]}");
    ASSERT_FAILS(parse(json, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "1 to 64 stations"));
}
END_TEST

START_TEST(an_order_is_valid_from_its_begin_until_before_its_end)
{
    struct error err = ERROR_INIT;

    ASSERT_OK(parse(good_order, &err), err);
    ASSERT_FAILS(order_check_time(&order, order.from - 1, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "begins at 2026-01-01T00:00:00Z"));
    ASSERT_OK(order_check_time(&order, order.from, &err), err);
    ASSERT_OK(order_check_time(&order, order.until - 1, &err), err);
    ASSERT_FAILS(order_check_time(&order, order.until, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "ended at 2026-12-31T00:00:00Z"));
}
END_TEST

#define HOURS_72 (72 * 3600)

static const struct {
    int64_t live, issued, before_end;
    unsigned expected;
} warned[] = {
    {94, 189, HOURS_72, 0},
    {95, 189, HOURS_72, ORDER_NEAR_GOOD},
    {94, 190, HOURS_72, ORDER_NEAR_MAX_ISSUED},
    {94, 189, HOURS_72 - 1, ORDER_NEAR_END},
    {100, 200, -1, ORDER_NEAR_GOOD | ORDER_NEAR_MAX_ISSUED | ORDER_NEAR_END},
};

START_TEST(the_owner_is_warned_at_95_percent_and_72_hours)
{
    const struct order_share share = {.counts = {.good = 100, .max_issued = 200}};
    struct error err = ERROR_INIT;

    ASSERT_OK(parse(good_order, &err), err);
    ck_assert_uint_eq(order_warnings(&order, &share, warned[_i].live, warned[_i].issued,
                                     order.until - warned[_i].before_end),
                      warned[_i].expected);
}
END_TEST

CHECK_ITEMS_MAIN("order", ONCE(a_good_order_is_read_with_every_member),
                 EACH_ROW(what_an_order_may_say_as_well, good_changes),
                 ONCE(a_station_whose_ca_is_hosted),
                 EACH_ROW(a_bad_order_is_refused_with_its_member, bad_changes),
                 EACH_ROW(serials_that_a_platform_refuses, exported),
                 ONCE(serials_that_differ_in_case_alone),
                 ONCE(a_single_serial_is_held_to_the_platforms),
                 EACH_ROW(a_station_has_the_serials_of_a_range_a_prefix_or_a_list, forms),
                 ONCE(an_order_without_stations_or_with_too_many_is_refused),
                 ONCE(an_order_is_valid_from_its_begin_until_before_its_end),
                 EACH_ROW(the_owner_is_warned_at_95_percent_and_72_hours, warned))
