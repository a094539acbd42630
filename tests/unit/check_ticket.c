/* Marks on a real SoftHSM2 token, and what a ticket says. */
#include "softhsm.h"

#include "hsm/mark.h"
#include "station/vault/ticket.h"

#include <string.h>

static struct error err = ERROR_INIT;

static bool is_set(struct hsm *h, enum hsm_mark mark, const uint8_t hash[SHA256_SIZE])
{
    bool set;

    ASSERT_OK(hsm_mark_find(h, mark, hash, &set, &err), err);
    return set;
}

/* Of is the first byte of a hash that is marked as nothing yet. */
static void check_mark(enum hsm_mark mark, enum hsm_mark other, uint8_t of, const char *said)
{
    uint8_t hash[SHA256_SIZE] = {of}, another[SHA256_SIZE] = {of, 1};
    struct hsm *h = softhsm_open();

    ck_assert(!is_set(h, mark, hash));
    ASSERT_OK(hsm_mark_set(h, mark, hash, &err), err);
    ck_assert(is_set(h, mark, hash));
    ck_assert(!is_set(h, mark, another));
    ck_assert(!is_set(h, other, hash));
    ASSERT_FAILS(hsm_mark_set(h, mark, hash, &err), ERR_EXISTS);
    ck_assert_ptr_nonnull(strstr(err.text, said));
    hsm_close(h);
    h = softhsm_open();
    ck_assert(is_set(h, mark, hash));
    ASSERT_FAILS(hsm_mark_set(h, mark, hash, &err), ERR_EXISTS);
    ASSERT_OK(hsm_mark_set(h, mark, another, &err), err);
    hsm_close(h);
}

START_TEST(a_mark_is_set_once_and_outlives_a_restart)
{
    check_mark(HSM_MARK_TICKET, HSM_MARK_CLOSED, 0xa1, "this ticket was used");
    check_mark(HSM_MARK_CLOSED, HSM_MARK_TICKET, 0xa2, "this order was closed");
}
END_TEST

#define STATION "\"station\":\"0101010101010101010101010101010101010101010101010101010101010101\""
#define VALID   "\"valid\":{\"from\":\"2026-01-01T00:00:00Z\",\"until\":\"2026-01-02T00:00:00Z\"}"
#define START   "{\"type\":\"recovery\",\"id\":\"R-1\",\"environment\":\"test\","
#define ROOT    "\"root\":\"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\""
#define AFTER   "\"after\":{\"origin\":\"acme.example/wl\",\"size\":7," ROOT "}"

static int parse(const char *text, struct ticket *t)
{
    return ticket_parse("t", text, strlen(text), t, &err);
}

START_TEST(what_a_ticket_says_is_read)
{
    struct ticket t;
    uint8_t ones[32], twos[32], hash[32];
    const char *text = START STATION "," VALID ",\"action\":\"restore\"," AFTER "}";

    memset(ones, 1, sizeof ones);
    memset(twos, 2, sizeof twos);
    ASSERT_OK(parse(START STATION "," VALID ",\"action\":\"clock\"}", &t), err);
    ck_assert_int_eq(t.action, TICKET_CLOCK);
    ck_assert(!t.has_after);
    ASSERT_OK(parse(START STATION "," VALID ",\"action\":\"counter\"," AFTER "}", &t), err);
    ck_assert_int_eq(t.action, TICKET_COUNTER);
    ck_assert(t.has_after);
    ASSERT_OK(parse(text, &t), err);
    ck_assert_int_eq(t.action, TICKET_RESTORE);
    ck_assert_str_eq(t.id, "R-1");
    ck_assert_str_eq(t.environment, "test");
    ck_assert_mem_eq(t.station, ones, sizeof ones);
    ck_assert_int_eq(t.from, 1767225600);
    ck_assert_int_eq(t.until, 1767225600 + 86400);
    ck_assert(t.has_after);
    ck_assert_str_eq(t.after_origin, "acme.example/wl");
    ck_assert_uint_eq(t.after_size, 7);
    ck_assert_mem_eq(t.after_root.bytes, twos, sizeof twos);
    sha256(text, strlen(text), hash);
    ck_assert_mem_eq(t.hash, hash, sizeof hash);
}
END_TEST

static const struct {
    const char *text, *part;
} bad[] = {
    {"[]", "object"},
    {"{", "not JSON"},
    {START STATION "," VALID "}", "'action'"},
    {START STATION "," VALID ",\"action\":\"reset\"}", "'action'"},
    {START STATION ",\"action\":\"clock\"}", "'valid'"},
    {START VALID ",\"action\":\"clock\"}", "'station'"},
    {START "\"station\":\"01\"," VALID ",\"action\":\"clock\"}", "'station'"},
    {START STATION "," VALID ",\"action\":\"clock\",\"more\":1}", "'more'"},
    {START STATION "," VALID ",\"action\":\"clock\",\"action\":\"clock\"}", "not JSON"},
    {START STATION "," VALID ",\"action\":\"clock\"," AFTER "}", "'after'"},
    {START STATION "," VALID ",\"action\":\"restore\",\"after\":{\"size\":7}}", "'origin'"},
    {START STATION "," VALID ",\"action\":\"restore\",\"after\":{\"origin\":\"a\"," ROOT
                   ",\"size\":-1}}",
     "'size'"},
    {START STATION "," VALID ",\"action\":\"restore\",\"after\":{\"origin\":\"a\",\"size\":7,"
                   "\"root\":\"AgI=\"}}",
     "'root'"},
    {START STATION ",\"valid\":{\"from\":\"2026-01-02T00:00:00Z\",\"until\":"
                   "\"2026-01-01T00:00:00Z\"},\"action\":\"clock\"}",
     "'until'"},
    {START STATION ",\"valid\":{\"from\":\"2026-01-02\",\"until\":\"2026-01-01T00:00:00Z\"},"
                   "\"action\":\"clock\"}",
     "'from'"},
    {"{\"type\":\"order\",\"id\":\"R-1\",\"environment\":\"test\"," STATION "," VALID
     ",\"action\":\"clock\"}",
     "'type'"},
    {"{\"type\":\"recovery\",\"id\":\"\",\"environment\":\"test\"," STATION "," VALID
     ",\"action\":\"clock\"}",
     "'id'"},
};

START_TEST(what_is_not_a_ticket_is_refused_by_member)
{
    struct ticket t;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ASSERT_FAILS(parse(bad[i].text, &t), ERR_INPUT);
        ck_assert_msg(strstr(err.text, bad[i].part) != NULL, "%zu: %s", i, err.text);
    }
}
END_TEST

START_TEST(a_ticket_is_for_one_station_environment_and_time)
{
    uint8_t station[32];
    struct ticket t;

    memset(station, 1, sizeof station);
    ASSERT_OK(parse(START STATION "," VALID ",\"action\":\"clock\"}", &t), err);
    ASSERT_OK(ticket_check(&t, "test", station, t.from, &err), err);
    ASSERT_OK(ticket_check(&t, "test", station, t.until, &err), err);
    ASSERT_FAILS(ticket_check(&t, "test", station, t.from - 1, &err), ERR_REFUSED);
    ASSERT_FAILS(ticket_check(&t, "test", station, t.until + 1, &err), ERR_REFUSED);
    ASSERT_FAILS(ticket_check(&t, "production", station, t.from, &err), ERR_REFUSED);
    station[0] = 2;
    ASSERT_FAILS(ticket_check(&t, "test", station, t.from, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "0201010101")); /* what the owner has to name */
}
END_TEST

SOFTHSM_MAIN("ticket", a_mark_is_set_once_and_outlives_a_restart, what_a_ticket_says_is_read,
             what_is_not_a_ticket_is_refused_by_member,
             a_ticket_is_for_one_station_environment_and_time)
