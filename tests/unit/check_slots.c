/* Slots: what counts against one, when nothing begins in it, and what ends that. The table of vault/slots.h. */
#include "played_device.h"

#include "station/vault/slots.h"

#define TIMED_OUT 18 /* ERR_TIMEOUT, as the line reports it */

static const struct rig_order plain_order = {.lock = false};

static const struct {
    int code;
    bool refused;
    enum error_next next;
    enum slots_end end;
} ends[] = {
    {0, false, NEXT_BY_CLASS, SLOTS_PASSED},
    {ERR_TIMEOUT, false, NEXT_BY_CLASS, SLOTS_FAILED},
    {ERR_GONE, false, NEXT_BY_CLASS, SLOTS_FAILED},
    {ERR_PROTOCOL, false, NEXT_BY_CLASS, SLOTS_FAILED},
    {ERR_PROTOCOL, false, NEXT_RESEAT, SLOTS_FAILED},
    {ERR_PROTOCOL, false, NEXT_SET_ASIDE, SLOTS_OTHER}, /* the device lies */
    {ERR_PROTOCOL, true, NEXT_BY_CLASS, SLOTS_OTHER},   /* the vault found it so */
    {ERR_TIMEOUT, true, NEXT_BY_CLASS, SLOTS_OTHER},
    {ERR_REFUSED, false, NEXT_BY_CLASS, SLOTS_OTHER},
    {ERR_DUPLICATE, true, NEXT_BY_CLASS, SLOTS_OTHER},
    {ERR_PROOF, true, NEXT_BY_CLASS, SLOTS_OTHER},
    {ERR_INTERRUPTED, false, NEXT_BY_CLASS, SLOTS_OTHER},
    {ERR_BUSY, false, NEXT_BY_CLASS, SLOTS_OTHER},
    {ERR_IO, false, NEXT_BY_CLASS, SLOTS_OTHER},
};

START_TEST(only_want_of_contact_counts_against_a_slot)
{
    ck_assert_int_eq(slots_end_of(ends[_i].code, ends[_i].refused, ends[_i].next), ends[_i].end);
}
END_TEST

/* ---- in a vault ---- */

static struct wire_condition condition_of(struct rig *r, const char *slot)
{
    struct wire_condition condition;
    struct error err = ERROR_INIT;

    ASSERT_OK(slots_condition(&r->v, slot, &condition, &err), err);
    return condition;
}

/* One attempt in S1 without an answer. */
static void fail_unit(struct rig *r, bool last)
{
    struct line l;

    line_init(&l, r);
    l.goes_on = !last;
    ASSERT_ANSWER(&l, line_open(&l));
    ASSERT_ANSWER(&l, line_result(&l, TIMED_OUT, "no answer"));
    ck_assert_int_eq(l.condition.state, condition_of(r, "S1").state);
    line_done(&l);
}

static void start(struct rig *r, int64_t failures, int64_t contacts)
{
    rig_start(r, &plain_order, 3);
    r->config.slots.failures = failures;
    r->config.slots.contacts = contacts;
}

static void assert_nothing_begins(struct rig *r)
{
    struct device d;
    struct line l;
    struct wire_hello h;

    device_init(&d, 0xa1);
    line_init(&l, r);
    ASSERT_ANSWER(&l, line_open(&l));
    ck_assert_int_ge(l.condition.state, WIRE_SLOT_FAILING);
    h = device_hello(&d, l.nonce);
    ASSERT_REFUSED(&l, line_hello(&l, &h), ERR_PROTOCOL, "out of order");
    line_done(&l);
    ck_assert_int_eq(rig_claims(r), 0);
    device_done(&d);
}

START_TEST(failures_in_a_row_close_a_slot_until_somebody_acknowledges)
{
    struct error err = ERROR_INIT;
    struct rig r;
    struct device d;
    bool was;

    start(&r, 3, 0);
    fail_unit(&r, true);
    fail_unit(&r, false); /* an attempt, and not the last with its unit */
    fail_unit(&r, true);
    ck_assert_int_eq(condition_of(&r, "S1").state, WIRE_SLOT_GOOD);
    ASSERT_OK(slots_acknowledge(&r.v, "S1", &was, &err), err);
    ck_assert(!was); /* so that nobody who is quick with F3 begins the row anew */
    fail_unit(&r, true);
    ck_assert_int_eq(condition_of(&r, "S1").state, WIRE_SLOT_FAILING);
    ck_assert_int_eq(condition_of(&r, "S2").state, WIRE_SLOT_GOOD);
    ck_assert_ptr_nonnull(strstr(condition_of(&r, "S1").text, "no answer"));
    rig_restart(&r);
    assert_nothing_begins(&r);
    ASSERT_OK(slots_acknowledge(&r.v, "S1", &was, &err), err);
    ck_assert(was);
    device_init(&d, 0xa2);
    provision(&r, &d);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_unit_that_passes_ends_the_row_also_again)
{
    struct rig r;
    struct line l;
    struct device d;

    start(&r, 2, 0);
    device_init(&d, 0xa1);
    provision(&r, &d);
    for (int i = 0; i < 3; i++) {
        fail_unit(&r, true);
        line_init(&l, &r);
        ASSERT_ANSWER(&l, meet(&l, &d));
        pass(&l, &d);
        line_done(&l);
        ck_assert_int_eq(condition_of(&r, "S1").state, WIRE_SLOT_GOOD);
    }
    ck_assert_int_eq(rig_records(&r), 1);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* A unit that the vault refuses is a contact and no failure, whatever the line says of it. */
START_TEST(a_refused_unit_is_not_the_slots_fault)
{
    struct slot_row row;
    struct error err = ERROR_INIT;
    struct rig r;
    struct line l;
    struct device d;

    start(&r, 1, 0);
    strcpy(r.job.require.firmware, "9.9.9");
    device_init(&d, 0xa1);
    line_init(&l, &r);
    ck_assert_int_eq(meet(&l, &d), ERR_REFUSED);
    ASSERT_ANSWER(&l, line_result(&l, TIMED_OUT, "no answer"));
    line_done(&l);
    ASSERT_OK(slot_row_read(r.store, "S1", &row, &err), err);
    ck_assert_int_eq(row.contacts, 1);
    ck_assert_int_eq(row.failures, 0);
    ck_assert_str_eq(row.recent, "");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(without_a_number_of_failures_nothing_closes)
{
    struct rig r;

    start(&r, 0, 0);
    for (int i = 0; i < 5; i++)
        fail_unit(&r, true);
    ck_assert_int_eq(condition_of(&r, "S1").state, WIRE_SLOT_GOOD);
    rig_end(&r);
}
END_TEST

START_TEST(contacts_wear_out_and_are_renewed_with_an_entry)
{
    struct error err = ERROR_INIT;
    struct slot_row row;
    struct rig r;
    bool was;

    start(&r, 0, 10);
    for (int i = 0; i < 8; i++)
        fail_unit(&r, true);
    ck_assert_int_eq(condition_of(&r, "S1").state, WIRE_SLOT_GOOD);
    fail_unit(&r, true);
    ck_assert_int_eq(condition_of(&r, "S1").state, WIRE_SLOT_WORN);
    fail_unit(&r, true);
    ck_assert_int_eq(condition_of(&r, "S1").state, WIRE_SLOT_WORN_OUT);
    ck_assert_int_eq(slots_acknowledge(&r.v, "S1", &was, &err), ERR_REFUSED);
    assert_nothing_begins(&r);
    strcpy(r.config.slots.limits[0].slot, "S1");
    r.config.slots.limits[0].contacts = 100;
    r.config.slots.limit_count = 1;
    ck_assert_int_eq(condition_of(&r, "S1").state, WIRE_SLOT_GOOD);
    r.config.slots.limit_count = 0;
    ck_assert_int_eq(slots_care_for(r.store, "S9", SLOTS_RENEWED, &row, &err), ERR_MISSING);
    ASSERT_OK(slots_care_for(r.store, "S1", SLOTS_RENEWED, &row, &err), err);
    ck_assert_int_eq(row.contacts, 0);
    ck_assert_int_eq(condition_of(&r, "S1").state, WIRE_SLOT_GOOD);
    ck_assert_int_eq(rig_int(&r, "SELECT json_extract(body, '$.data.units') FROM ledger WHERE"
                                 " json_extract(body, '$.event') = 'slot'"),
                     10);
    rig_end(&r);
}
END_TEST

START_TEST(a_yield_is_of_the_last_two_hundred)
{
    struct error err = ERROR_INIT;
    struct slot_row row;
    struct rig r;
    size_t units;

    start(&r, 0, 0);
    ASSERT_OK(slot_row_read(r.store, "S1", &row, &err), err);
    ck_assert_int_eq(slots_yield(&row, &units), -1);
    ASSERT_OK(store_begin(r.store, &err), err);
    for (int i = 0; i < 250; i++)
        ASSERT_OK(slots_count(&r.v, "S1", i < 60 ? SLOTS_FAILED : SLOTS_PASSED, "why", &err), err);
    ASSERT_OK(slots_count(&r.v, "S1", SLOTS_OTHER, "", &err), err);
    ASSERT_OK(store_commit(r.store, &err), err);
    ASSERT_OK(slot_row_read(r.store, "S1", &row, &err), err);
    ck_assert_int_eq(slots_yield(&row, &units), 950); /* 50 of the failures are forgotten */
    ck_assert_uint_eq(units, SLOT_ROW_RECENT_MAX);
    ck_assert_int_eq(row.contacts, 251);
    rig_end(&r);
}
END_TEST

RIG_MAIN("slots", EACH_ROW(only_want_of_contact_counts_against_a_slot, ends),
         ONCE(failures_in_a_row_close_a_slot_until_somebody_acknowledges),
         ONCE(a_unit_that_passes_ends_the_row_also_again),
         ONCE(a_refused_unit_is_not_the_slots_fault),
         ONCE(without_a_number_of_failures_nothing_closes),
         ONCE(contacts_wear_out_and_are_renewed_with_an_entry),
         ONCE(a_yield_is_of_the_last_two_hundred))
