/* Where serials come from, and which a device may have: the tables of vault/naming.h, and of
 * vault/scan.h what a person may type. */
#include "played_device.h"

#include "station/vault/certifier.h"
#include "station/vault/naming.h"
#include "station/vault/rework.h"
#include "station/vault/scan.h"

#include <unistd.h>

#define ANY "{\"prefix\":\"\"}"

static const struct rig_order scanned = {
    .source = SOURCE_SCANNED, .serials = ANY, .rework = 2, .good = 5, .max_issued = 20};

/* The labels of a run: each call is another run of the same station. */
static struct scans labels;

static void scan(struct rig *r, const char *line)
{
    struct error err = ERROR_INIT;

    memset(&labels, 0, sizeof labels);
    r->v.scans = &labels;
    ASSERT_OK(scans_add(&labels, &r->v, line, &err), err);
}

static int try_scan(struct rig *r, const char *line, struct error *err)
{
    return scans_add(&labels, &r->v, line, err);
}

static int try_void(struct rig *r, const char *serial, struct error *err)
{
    const struct voiding what = {
        .name = serial, .lost = true, .reason = RECORD_CESSATION_OF_OPERATION};
    struct voided voided;
    struct vault v;
    int rc = vault_init(&v, &r->config, NULL, r->store, r->hsm, err);

    if (rc == 0)
        rc = voiding_run(&v, &what, &voided, err);
    vault_done(&v);
    return rc;
}

static int try_rework(struct rig *r, const char *serial, struct reworked *out, struct error *err)
{
    const struct voiding what = {.name = serial, .reason = RECORD_SUPERSEDED};
    struct vault v;
    int rc = vault_init(&v, &r->config, NULL, r->store, r->hsm, err);

    if (rc == 0)
        rc = rework_run(&v, &what, out, err);
    vault_done(&v);
    return rc;
}

static void allow_rework(struct rig *r, const char *serial)
{
    struct error err = ERROR_INIT;
    struct reworked reworked;

    ASSERT_OK(try_rework(r, serial, &reworked, &err), err);
    ck_assert(!reworked.before);
    rig_restart(r);
}

/* A whole device; its chip is mark. */
static void make(struct rig *r, uint8_t mark, const char *line)
{
    struct device d;

    scan(r, line);
    device_init(&d, mark);
    provision(r, &d);
    device_done(&d);
}

/* ---- what a label gives ---- */

START_TEST(a_label_is_the_serial_of_the_device_in_its_slot)
{
    struct record record;
    struct device d;
    struct rig r;

    rig_start(&r, &scanned, 3);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"), 0);
    ck_assert_int_eq(r.v.counts.spares, 3);
    device_init(&d, 0xa1);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "no label was scanned for slot 'S1'");
    scan(&r, "S2 AB/12");
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "no label was scanned for slot 'S1'");
    scan(&r, "S1 AB/12");
    provision(&r, &d);
    ck_assert_str_eq(d.serial, "AB/12");
    ck_assert_int_eq(r.v.counts.spares, 2);
    rig_record(&r, 0, &record);
    ck_assert_str_eq(record.sn, "AB/12");
    ck_assert_int_eq(record.t, RECORD_ADD);
    record_done(&record);
    rig_restart(&r); /* the counts are those of the ledger */
    ck_assert_int_eq(r.v.counts.spares, 2);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* Through certificate, transcript, record and manifest: rig_end verifies what was sealed. */
START_TEST(every_character_of_a_serial_reaches_the_manifest)
{
    char line[96], serial[SERIAL_TEXT_MAX + 1];
    struct record record;
    struct rig r;

    rig_start(&r, &(struct rig_order){.source = SOURCE_SCANNED, .serials = ANY}, 0);
    for (size_t i = 0; i < 82; i += 20) {
        snprintf(serial, sizeof serial, "%.20s%s", SERIAL_CHARACTERS + i, i == 80 ? "-" : "");
        snprintf(line, sizeof line, "S1 %s", serial);
        make(&r, (uint8_t)(0xa0 + i / 20), line);
        rig_record(&r, (int64_t)i / 20, &record);
        ck_assert_str_eq(record.sn, serial);
        record_done(&record);
    }
    rig_end(&r);
}
END_TEST

START_TEST(a_device_that_comes_back_keeps_what_it_has)
{
    struct error said;
    struct device d;
    struct rig r;
    struct wire_plan plan;

    rig_start(&r, &scanned, 0);
    device_init(&d, 0xa1);
    scan(&r, "S1 UNIT-1");
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    rig_restart(&r);
    scan(&r, "S1 UNIT-2"); /* units were exchanged, or labels */
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "says 'UNIT-2' and the device in it is 'UNIT-1'");
    scan(&r, "S1 UNIT-1");
    provision(&r, &d);
    r.v.scans = NULL; /* one that is finished needs no label */
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    ck_assert_int_eq(plan.again, 1);
    scan(&r, "S1 UNIT-2");
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "says 'UNIT-2'");
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* The next unit in a slot is healthy: it waits for its own label, and is not taken for a double. */
START_TEST(a_label_is_for_one_unit)
{
    struct device first, next;
    struct wire_plan plan;
    struct error said;
    struct rig r;

    rig_start(&r, &scanned, 0);
    device_init(&first, 0xa1);
    device_init(&next, 0xb2);
    scan(&r, "S1 UNIT-1");
    ck_assert_int_eq(meet_once(&r, &first, NULL, &said),
                     0); /* claimed: the label is still its own */
    ASSERT_MEET_REFUSED(&r, &next, ERR_DUPLICATE, "another device has the serial 'UNIT-1'");
    provision(&r, &first);
    ck_assert_int_eq(meet_once(&r, &next, NULL, &said), ERR_REFUSED);
    ck_assert_ptr_nonnull(
        strstr(said.text, "was that of the unit before, 'UNIT-1': run again and scan"));
    ck_assert_int_eq(said.next, NEXT_SCAN);
    ck_assert_int_eq(meet_once(&r, &first, &plan, &said), 0);
    ck_assert_int_eq(plan.again, 1);
    rig_restart(&r);
    scan(&r, "S1 UNIT-2");
    provision(&r, &next);
    ck_assert_str_eq(next.serial, "UNIT-2");
    ck_assert_int_eq(meet_once(&r, &first, &plan, &said),
                     0); /* the label was the unit's before it */
    ck_assert_int_eq(plan.again, 1);
    device_done(&first);
    device_done(&next);
    rig_end(&r);
}
END_TEST

/* It lost its memory: the label stays, the key does not. */
START_TEST(a_device_that_lost_its_memory_keeps_its_label)
{
    struct error said;
    struct device d;
    struct rig r;

    rig_start(&r, &scanned, 0);
    scan(&r, "S1 UNIT-1");
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    device_done(&d);
    device_init(&d, 0xa1);
    provision(&r, &d);
    ck_assert_str_eq(d.serial, "UNIT-1");
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_PROVEN), 1);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- what a serial has already ---- */

START_TEST(a_serial_belongs_to_one_device)
{
    struct error said;
    struct device one, other;
    struct rig r;

    rig_start(&r, &scanned, 0);
    device_init(&one, 0xa1);
    device_init(&other, 0xa2);
    scan(&r, "S1 UNIT-1");
    ck_assert_int_eq(meet_once(&r, &one, NULL, &said), 0); /* claimed */
    ASSERT_MEET_REFUSED(&r, &other, ERR_DUPLICATE, "another device has the serial 'UNIT-1'");
    provision(&r, &one); /* proven */
    scan(&r, "S1 UNIT-1");
    ASSERT_MEET_REFUSED(&r, &other, ERR_DUPLICATE, "another device has the serial 'UNIT-1'");
    scan(&r, "S1 unit-1"); /* to a platform it is the same */
    ASSERT_MEET_REFUSED(&r, &other, ERR_DUPLICATE, "another device has the serial 'UNIT-1'");
    device_done(&one);
    device_done(&other);
    rig_end(&r);
}
END_TEST

START_TEST(a_revoked_serial_waits_for_a_supervisor)
{
    struct error err = ERROR_INIT;
    struct device other;
    struct rig r;

    rig_start(&r, &scanned, 0);
    make(&r, 0xa1, "S1 UNIT-1");
    ASSERT_OK(try_void(&r, "UNIT-1", &err), err);
    rig_restart(&r);
    memset(&labels, 0, sizeof labels);
    ASSERT_FAILS(try_scan(&r, "S1 UNIT-1", &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "imprint rework UNIT-1"));
    allow_rework(&r, "UNIT-1");
    scan(&r, "S1 UNIT-1");
    device_init(&other, 0xa2);
    provision(&r, &other);
    ck_assert_str_eq(other.serial, "UNIT-1");
    device_done(&other);
    rig_end(&r);
}
END_TEST

/* A row that says that a live identity came to an end: the ledger knows better. */
static const char *const edits[] = {
    "UPDATE credentials SET state = 3, wrapped = NULL",
    "UPDATE credentials SET state = 4, wrapped = NULL",
    "UPDATE credentials SET state = 5, wrapped = NULL",
};

START_TEST(an_edited_end_is_not_believed)
{
    struct error err = ERROR_INIT;
    int64_t replaces;
    struct rig r;
    bool again;

    rig_start(&r, &scanned, 0);
    make(&r, 0xa1, "S1 UNIT-1");
    rig_sql(&r, edits[_i]);
    ASSERT_FAILS(naming_judge(&r.v, "UNIT-1", &again, &replaces, &err), ERR_INTEGRITY);
    rig_drop(&r);
}
END_TEST

/* A key that is another's, or was a credential's: neither gets a certificate. */
static const struct {
    const char *edit;
    int code;
} spare_edits[] = {
    {"UPDATE spare_keys SET point = (SELECT point FROM spare_keys WHERE id = 3) WHERE id = 2",
     ERR_INTEGRITY},
    {"UPDATE spare_keys SET wrapped = (SELECT wrapped FROM spare_keys WHERE id = 3) WHERE id = 2",
     ERR_INTEGRITY},
    {"UPDATE spare_keys SET order_id = order_id, storage = 'storage:ec:other' WHERE id = 2",
     ERR_INTEGRITY},
    {"UPDATE spare_keys SET state = 0, wrapped = (SELECT wrapped FROM kept) WHERE id = 1",
     ERR_STORE},
};

START_TEST(an_edited_spare_key_is_not_used)
{
    const struct certify_request request = {.serial = "UNIT-2"};
    struct error err = ERROR_INIT;
    struct credential c;
    struct rig r;
    bool spare;

    rig_start(&r, &scanned, 3);
    rig_sql(&r, "CREATE TEMP TABLE kept AS SELECT wrapped FROM spare_keys WHERE id = 1");
    make(&r, 0xa1, "S1 UNIT-1");
    rig_sql(&r, spare_edits[_i].edit);
    credential_init(&c);
    ASSERT_OK(store_begin(r.store, &err), err);
    ASSERT_FAILS(certifier_issue(&r.v, &request, &c, &spare, &err), spare_edits[_i].code);
    store_rollback(r.store);
    credential_done(&c);
    rig_drop(&r);
}
END_TEST

/* ---- rework ---- */

START_TEST(a_replacement_names_the_record_that_it_replaces)
{
    struct record record;
    struct device d;
    struct rig r;

    rig_start(&r, &scanned, 0);
    make(&r, 0xa1, "S1 UNIT-1");
    allow_rework(&r, "UNIT-1");
    scan(&r, "S1 UNIT-1");
    device_init(&d, 0xa1); /* the same chip, erased */
    provision(&r, &d);
    device_done(&d);
    ck_assert_int_eq(rig_records(&r), 3);
    rig_record(&r, 1, &record);
    ck_assert_int_eq(record.t, RECORD_REVOKE);
    ck_assert_int_eq(record.reason, RECORD_SUPERSEDED);
    record_done(&record);
    rig_record(&r, 2, &record);
    ck_assert_int_eq(record.t, RECORD_REPLACE);
    ck_assert_uint_eq(record.ref, 0);
    ck_assert_str_eq(record.sn, "UNIT-1");
    record_done(&record);
    allow_rework(&r, "UNIT-1"); /* and once more */
    make(&r, 0xa3, "S1 UNIT-1");
    rig_record(&r, 4, &record);
    ck_assert_int_eq(record.t, RECORD_REPLACE);
    ck_assert_uint_eq(record.ref, 2);
    record_done(&record);
    rig_end(&r);
}
END_TEST

START_TEST(rework_is_counted_and_ends)
{
    struct error err = ERROR_INIT;
    struct reworked reworked;
    struct rig r;

    rig_start(&r, &scanned, 0);
    make(&r, 0xa1, "S1 UNIT-1");
    make(&r, 0xa2, "S1 UNIT-2");
    make(&r, 0xa3, "S1 UNIT-3");
    allow_rework(&r, "UNIT-1");
    allow_rework(&r, "UNIT-2");
    ASSERT_OK(try_rework(&r, "UNIT-2", &reworked, &err), err);
    ck_assert(reworked.before);
    ASSERT_FAILS(try_rework(&r, "UNIT-3", &reworked, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "allows this station to replace 2"));
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_PROVEN), 1);
    rig_end(&r);
}
END_TEST

START_TEST(what_never_lived_is_not_replaced)
{
    const struct rig_order order = {.rework = 2};
    struct error err = ERROR_INIT, said;
    struct reworked reworked;
    struct device d;
    struct rig r;

    rig_start(&r, &order, 2);
    ASSERT_FAILS(try_rework(&r, "PUMP-000001", &reworked, &err), ERR_REFUSED);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    ASSERT_FAILS(try_rework(&r, "PUMP-000001", &reworked, &err), ERR_REFUSED);
    ASSERT_OK(try_void(&r, "PUMP-000001", &err), err);
    ASSERT_FAILS(try_rework(&r, "PUMP-000001", &reworked, &err), ERR_REFUSED);
    ASSERT_OK(try_void(&r, "PUMP-000002", &err), err);
    ASSERT_FAILS(try_rework(&r, "PUMP-000002", &reworked, &err), ERR_REFUSED);
    ASSERT_FAILS(try_rework(&r, "PUMP-000009", &reworked, &err), ERR_MISSING);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* Where serials are assigned a label is for a replacement, and for nothing else. */
START_TEST(an_assigned_serial_is_replaced_by_its_label)
{
    const struct rig_order order = {.rework = 1};
    struct device d;
    struct rig r;

    rig_start(&r, &order, 2);
    device_init(&d, 0xa1);
    provision(&r, &d);
    device_done(&d);
    device_init(&d, 0xa2);
    scan(&r, "S1 PUMP-000009");
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "has no identity to be replaced");
    scan(&r, "S1 PUMP-000002");
    ASSERT_MEET_REFUSED(&r, &d, ERR_DUPLICATE, "was made ahead");
    allow_rework(&r, "PUMP-000001");
    scan(&r, "S1 PUMP-000001");
    provision(&r, &d);
    ck_assert_str_eq(d.serial, "PUMP-000001");
    device_done(&d);
    device_init(&d, 0xa3);
    r.v.scans = NULL;
    provision(&r, &d);
    ck_assert_str_eq(d.serial, "PUMP-000002");
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- a line that was taken over ---- */

/* It may say which slot it speaks of, and gains by that what the labels give and no more. */
START_TEST(a_hostile_line_cannot_choose_a_serial)
{
    struct device one, two;
    struct line first, second;
    struct rig r;

    rig_start(&r, &scanned, 0);
    scan(&r, "S1 UNIT-1");
    device_init(&one, 0xa1);
    device_init(&two, 0xa2);
    line_init(&first, &r);
    line_init(&second, &r);
    ASSERT_ANSWER(&first, meet(&first, &one));
    ck_assert_str_eq(first.plan.serial, "UNIT-1");
    /* A second channel for the same slot, with another device. */
    ASSERT_REFUSED(&second, meet(&second, &two), ERR_DUPLICATE, "another device has the serial");
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"), 1);
    line_done(&first);
    line_done(&second);
    device_done(&one);
    device_done(&two);
    rig_end(&r);
}
END_TEST

START_TEST(certificates_at_the_claim_end_with_max_issued)
{
    const struct rig_order order = {
        .source = SOURCE_DEVICE, .serials = ANY, .good = 1, .max_issued = 2, .spoilage = 9};
    struct error said;
    struct device d;
    struct rig r;

    rig_start(&r, &order, 0);
    for (int i = 0; i < 2; i++) {
        device_init(&d, 0xa1); /* each time without its memory */
        ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
        device_done(&d);
    }
    device_init(&d, 0xa1);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "allows this station 2 certificates");
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- serials of the chip ---- */

START_TEST(a_chip_id_is_a_serial)
{
    const struct rig_order order = {.source = SOURCE_DEVICE, .serials = "{\"prefix\":\"INF-A1\"}"};
    struct device d;
    struct rig r;

    rig_start(&r, &order, 0);
    strcpy(r.job.serials.prefix, "INF-");
    device_init(&d, 0xa1);
    provision(&r, &d);
    ck_assert_str_eq(d.serial, "INF-A1A1A1A1A1A1A1A1");
    device_done(&d);
    device_init(&d, 0xb2);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "none that the order gives this station");
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- lists ---- */

static void write_list(struct rig *r, const char *text)
{
    struct error err = ERROR_INIT;

    rig_path(r->dir, "serials.txt", r->job.serials.file);
    ASSERT_OK(file_write(r->job.serials.file, text, strlen(text), 0644, &err), err);
    serial_list_done(&r->job.serials.list);
    ASSERT_OK(serial_list_read(r->job.serials.file, &r->job.serials.list, &err), err);
}

static int try_generate(struct rig *r, int64_t count, struct error *err)
{
    int64_t made;

    return generate_credentials(&r->v, count, RIG_THREADS, &rig_watch, &made, err);
}

static const struct rig_order listed = {.source = SOURCE_LISTED, .serials = ANY};

START_TEST(a_list_is_made_in_its_order_and_once)
{
    struct error err = ERROR_INIT;
    struct device d;
    struct rig r;

    rig_start(&r, &listed, 0);
    write_list(&r, "C-3\nA/1\nB-2\n");
    rig_generate(&r, 2);
    ASSERT_FAILS(try_generate(&r, 2, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "has 1 serials that are not made yet"));
    rig_generate(&r, 1);
    ASSERT_FAILS(try_generate(&r, 1, &err), ERR_REFUSED);
    for (uint8_t i = 0; i < 3; i++) {
        device_init(&d, (uint8_t)(0xa1 + i));
        provision(&r, &d);
        ck_assert_str_eq(d.serial, r.job.serials.list.at[i]);
        device_done(&d);
    }
    rig_end(&r);
}
END_TEST

/* Nothing of a list is made when one of its serials is another order's. */
START_TEST(a_list_with_a_serial_of_another_order_is_refused_whole)
{
    const struct rig_order other = {.source = SOURCE_LISTED, .serials = ANY, .id = "TEST-2"};
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &listed, 0);
    write_list(&r, "A-1\nA-2\n");
    rig_generate(&r, 2);
    rig_use_order(&r, &other);
    write_list(&r, "B-1\nB-2\na-2\n");
    ASSERT_FAILS(try_generate(&r, 1, &err), ERR_DUPLICATE);
    ck_assert_ptr_nonnull(strstr(err.text, ":3:1: serial 'a-2'"));
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"), 2);
    rig_end(&r);
}
END_TEST

/* ---- what a person types ---- */

static const struct {
    const char *line;
    int code;
    const char *part;
} lines[] = {
    {"S1", ERR_INPUT, "expected the slot, a blank and the serial"},
    {" UNIT-1", ERR_INPUT, "expected the slot"},
    {"UNIT-1", ERR_INPUT, "expected the slot"},
    {"S1 ", ERR_INPUT, "expected the slot"},
    {"X1 UNIT-1", ERR_INPUT, "no slot 'X1'"},
    {"S UNIT-1", ERR_INPUT, "no slot 'S'"},
    {"S01 UNIT-1", ERR_INPUT, "no slot 'S01'"},
    {"S1 U", ERR_INPUT, "less than 2"},
    {"S1 UNIT#1", ERR_INPUT, "character 5 of the serial, 0x23"},
    {"S1 UNIT\x80", ERR_INPUT, "0x80"},
    {"S2 OTHER", ERR_DUPLICATE, "slot 'S2' has the label 'UNIT-2' already"},
    {"S1 unit-2", ERR_DUPLICATE, "was scanned for slot 'S2' already"},
};

START_TEST(a_wrong_line_is_refused_before_anything_begins)
{
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &scanned, 0);
    scan(&r, "S2 UNIT-2");
    ASSERT_FAILS(try_scan(&r, lines[_i].line, &err), lines[_i].code);
    ck_assert_msg(strstr(err.text, lines[_i].part) != NULL, "'%s'", err.text);
    ck_assert_uint_eq(labels.count, 1);
    ASSERT_OK(try_scan(&r, "S10  UNIT-3 \r", &err), err);
    ck_assert_str_eq(scans_find(&labels, "S10")->serial, "UNIT-3");
    rig_end(&r);
}
END_TEST

/* Unknown: none that the order or the list gives. */
START_TEST(a_label_of_another_product_is_refused)
{
    const struct rig_order order = {.source = SOURCE_SCANNED}; /* PUMP- and six digits */
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &order, 0);
    memset(&labels, 0, sizeof labels);
    ASSERT_FAILS(try_scan(&r, "S1 PUMP-0000001", &err), ERR_REFUSED);
    ASSERT_FAILS(try_scan(&r, "S1 PUMP-000000", &err), ERR_REFUSED);
    ASSERT_FAILS(try_scan(&r, "S1 OTHER", &err), ERR_REFUSED);
    ASSERT_OK(try_scan(&r, "S1 PUMP-000001", &err), err);
    write_list(&r, "PUMP-000002\n");
    ASSERT_FAILS(try_scan(&r, "S2 PUMP-000003", &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "not in the list"));
    ASSERT_OK(try_scan(&r, "S2 PUMP-000002", &err), err);
    rig_end(&r);
}
END_TEST

static int read_as(struct rig *r, const char *text, size_t len, bool ask, struct error *err)
{
    FILE *in = fmemopen((void *)(uintptr_t)text, len, "r");
    int rc;

    memset(&labels, 0, sizeof labels);
    rc = scans_read(&labels, &r->v, in, "the pipe", ask, err);
    fclose(in);
    return rc;
}

static int read_text(struct rig *r, const char *text, size_t len, struct error *err)
{
    return read_as(r, text, len, false, err);
}

/* Whoever types is told, and tries again; what was right stays. */
START_TEST(a_person_is_asked_again)
{
    static const char typed[] = "S1 A-1\nX9 A-3\n\x01\nS2 A-2\n\nS3 A-3\n";
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &scanned, 0);
    ASSERT_OK(read_as(&r, typed, sizeof typed - 1, true, &err), err);
    ck_assert_uint_eq(labels.count, 2);
    ck_assert_str_eq(scans_find(&labels, "S1")->serial, "A-1");
    ck_assert_str_eq(scans_find(&labels, "S2")->serial, "A-2");
    rig_end(&r);
}
END_TEST

/* Before anything begins a label is put right: another one for the slot, or none, which also frees the
 * serial for the slot that its unit is in. What is no label leaves the one that is there. */
START_TEST(a_person_corrects_a_label)
{
    static const char typed[] =
        "S1 A-1\nS2 B-2\nS1 A-3\nS2 A#4\nS2 A-3\nS1  \nS2 A-3\nS1\nS1 B-2\n";
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &scanned, 0);
    ASSERT_OK(read_as(&r, typed, 14 + 7, true, &err), err);
    ck_assert_str_eq(scans_find(&labels, "S1")->serial, "A-3");
    ASSERT_OK(read_as(&r, typed, 14 + 7 + 7 + 7, true, &err), err);
    ck_assert_str_eq(scans_find(&labels, "S2")->serial, "B-2");
    ASSERT_OK(read_as(&r, typed, 14 + 7 + 7 + 7 + 5, true, &err), err);
    ck_assert_uint_eq(labels.count, 1);
    ASSERT_OK(read_as(&r, typed, sizeof typed - 1, true, &err), err);
    ck_assert_str_eq(scans_find(&labels, "S1")->serial, "B-2");
    ck_assert_str_eq(scans_find(&labels, "S2")->serial, "A-3");
    ck_assert_uint_eq(labels.count, 2);
    ASSERT_FAILS(read_as(&r, typed, sizeof typed - 1, false, &err), ERR_DUPLICATE);
    ck_assert_ptr_nonnull(strstr(err.text, "the pipe: line 3: slot 'S1' has the label 'A-1'"));
    rig_end(&r);
}
END_TEST

START_TEST(a_pipe_is_read_to_an_empty_line_or_its_end)
{
    static const char long_line[] =
        "S1 "
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &scanned, 0);
    ASSERT_OK(read_text(&r, "S1 A-1\nS2 A-2\n\nS3 A-3\n", 21, &err), err);
    ck_assert_uint_eq(labels.count, 2);
    ASSERT_OK(read_text(&r, "S1 A-1", 6, &err), err);
    ck_assert_uint_eq(labels.count, 1);
    ASSERT_OK(read_text(&r, "\n", 1, &err), err);
    ck_assert_uint_eq(labels.count, 0);
    ASSERT_FAILS(read_text(&r, "S1 A-1\nS2 a-1\n", 14, &err), ERR_DUPLICATE);
    ck_assert_ptr_nonnull(strstr(err.text, "the pipe: line 2: "));
    ASSERT_FAILS(read_text(&r, long_line, sizeof long_line - 1, &err), ERR_INPUT);
    ASSERT_FAILS(read_text(&r, "S1 A\0B\n", 7, &err), ERR_INPUT);
    rig_end(&r);
}
END_TEST

/* ---- retries have an end ---- */

START_TEST(what_fails_too_often_is_set_aside)
{
    struct error said;
    struct device d;
    struct line l;
    struct rig r;

    rig_start(&r, &(struct rig_order){.lock = false}, 1);
    r.job.link.attempts = 2;
    device_init(&d, 0xa1);
    for (int i = 0; i < 2; i++) {
        line_init(&l, &r);
        ASSERT_ANSWER(&l, meet(&l, &d));
        ASSERT_ANSWER(&l, line_result(&l, 18, "no answer"));
        line_done(&l);
    }
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "failed in this device 2 times");
    r.job.link.attempts = 4;
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    device_done(&d);
    rig_end(&r);
}
END_TEST

RIG_MAIN("naming", ONCE(a_label_is_the_serial_of_the_device_in_its_slot),
         ONCE(every_character_of_a_serial_reaches_the_manifest),
         ONCE(a_device_that_comes_back_keeps_what_it_has),
         ONCE(a_device_that_lost_its_memory_keeps_its_label), ONCE(a_serial_belongs_to_one_device),
         ONCE(a_revoked_serial_waits_for_a_supervisor),
         EACH_ROW(an_edited_end_is_not_believed, edits),
         EACH_ROW(an_edited_spare_key_is_not_used, spare_edits),
         ONCE(a_replacement_names_the_record_that_it_replaces), ONCE(rework_is_counted_and_ends),
         ONCE(what_never_lived_is_not_replaced), ONCE(an_assigned_serial_is_replaced_by_its_label),
         ONCE(a_hostile_line_cannot_choose_a_serial),
         ONCE(certificates_at_the_claim_end_with_max_issued), ONCE(a_chip_id_is_a_serial),
         ONCE(a_list_is_made_in_its_order_and_once),
         ONCE(a_list_with_a_serial_of_another_order_is_refused_whole),
         EACH_ROW(a_wrong_line_is_refused_before_anything_begins, lines),
         ONCE(a_label_of_another_product_is_refused), ONCE(a_person_is_asked_again),
         ONCE(a_person_corrects_a_label), ONCE(a_label_is_for_one_unit),
         ONCE(a_pipe_is_read_to_an_empty_line_or_its_end), ONCE(what_fails_too_often_is_set_aside))
