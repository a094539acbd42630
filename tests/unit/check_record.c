/* Records and evidence lines: the table of members, and that only canonical bytes are read. */
#include "check_util.h"
#include "manifest_damage.h"

#include "base/file.h"

#include <jansson.h>

#include <string.h>
#include <unistd.h>

static struct error err;
static char dir[] = "/tmp/check_record_XXXXXX";
static struct kit kit;

static void begin(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    kit_init(&kit, dir);
}

static void end(void)
{
    kit_done(&kit);
    ASSERT_OK(file_remove_tree(dir, &err), err);
}

static void write_line(const struct record *r, struct buf *line)
{
    buf_init(line, RECORD_LINE_MAX);
    ASSERT_OK(record_write(r, line, &err), err);
}

/* Writes, reads and writes again; both lines must be the same. */
static void round_trip(const struct record *r)
{
    struct record again;
    struct buf first, second;

    write_line(r, &first);
    ASSERT_OK(record_parse(first.data, first.len, &again, &err), err);
    ck_assert_int_eq(again.t, r->t);
    write_line(&again, &second);
    ck_assert_uint_eq(first.len, second.len);
    ck_assert_mem_eq(first.data, second.data, first.len);
    record_done(&again);
    buf_done(&first);
    buf_done(&second);
}

START_TEST(every_type_of_record_reads_back_as_it_was_written)
{
    struct kit_device d;
    struct record r;

    begin();
    kit_device_init(&kit, &d, "SN-1");
    round_trip(&d.record);
    d.record.t = RECORD_REPLACE;
    d.record.ref = 12345678901;
    round_trip(&d.record);
    d.record.ext = "{ \"b\": [1, -2, null, true, {\"x\": \"\\u0041\"}], \"a\": {} }";
    round_trip(&d.record);
    d.record.ext = NULL;
    d.record.mode = RECORD_MODE_DERIVED;
    d.record.cert.p = d.record.spki.p = NULL;
    round_trip(&d.record);
    for (enum record_type t = RECORD_REVOKE; t < RECORD_TYPES; t++) {
        if (t == RECORD_VOID)
            continue;
        kit_change(&r, t, &d.record, 7);
        if (t == RECORD_ROTATE)
            r = (struct record){.t = RECORD_ROTATE, .ts = 1};
        round_trip(&r);
    }
    kit_change(&r, RECORD_VOID, &d.record, 0);
    r.reason = RECORD_BURNED;
    round_trip(&r);
    r.reason = RECORD_SCRAPPED;
    r.chip_len = 0;
    round_trip(&r);
    kit_device_done(&d);
    end();
}
END_TEST

START_TEST(a_line_holds_its_members_in_order_and_nothing_else)
{
    struct record r = {.t = RECORD_REVOKE, .ts = 0, .ref = 3, .reason = RECORD_KEY_COMPROMISE};
    struct buf line;

    strcpy(r.prod, "pump");
    strcpy(r.sn, "A\"1");
    write_line(&r, &line);
    buf_put_u8(&line, 0);
    ck_assert_str_eq(
        (char *)line.data,
        "{\"n\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"order\":"
        "\"00000000000000000000000"
        "00000000000000000000000000000000000000000\",\"prod\":\"pump\",\"reason\":"
        "\"keyCompromise\","
        "\"ref\":3,\"sn\":\"A\\\"1\",\"t\":\"revoke\",\"ts\":\"1970-01-01T00:00:00Z\"}");
    buf_done(&line);
}
END_TEST

typedef void change_record(struct record *r);

static void no_type(struct record *r)
{
    r->t = 0;
}

static void no_serial(struct record *r)
{
    r->sn[0] = 0;
}

static void serial_with_blank(struct record *r)
{
    strcpy(r->sn, "A 1");
}

static void serial_not_ascii(struct record *r)
{
    strcpy(r->sn, "A\xc3\xa9");
}

static void no_product(struct record *r)
{
    r->prod[0] = 0;
}

static void no_chip(struct record *r)
{
    r->chip_len = 0;
}

static void chip_too_long(struct record *r)
{
    r->chip_len = IMPRINT_CHIP_ID_MAX + 1;
}

static void no_certificate(struct record *r)
{
    r->cert.p = NULL;
}

static void empty_certificate(struct record *r)
{
    r->cert.len = 0;
}

static void no_key(struct record *r)
{
    r->spki.p = NULL;
}

static void no_mode(struct record *r)
{
    r->mode = 0;
}

static void mode_unknown(struct record *r)
{
    r->mode = 17;
}

static void derived_with_certificate(struct record *r)
{
    r->mode = RECORD_MODE_DERIVED;
}

static void no_hsm(struct record *r)
{
    r->hsm[0] = 0;
}

static void no_use(struct record *r)
{
    r->use = 0;
}

static void before_1970(struct record *r)
{
    r->ts = -1;
}

static void after_9999(struct record *r)
{
    r->ts = INT64_C(253402300800);
}

static void gtin_short(struct record *r)
{
    strcpy(r->udi.gtin, "123");
}

static void gtin_letters(struct record *r)
{
    strcpy(r->udi.gtin, "0950600013435X");
}

static void date_impossible(struct record *r)
{
    strcpy(r->udi.exp, "2026-02-30");
}

static void ext_not_json(struct record *r)
{
    r->ext = "{";
}

static void ext_not_object(struct record *r)
{
    r->ext = "[]";
}

static void ext_with_float(struct record *r)
{
    r->ext = "{\"a\":1.5}";
}

static void crit_without_ext(struct record *r)
{
    r->crit = "[\"a\"]";
}

static void crit_of_absent_member(struct record *r)
{
    r->ext = "{\"b\":1}";
    r->crit = "[\"a\"]";
}

static void crit_twice(struct record *r)
{
    r->ext = "{\"a\":1}";
    r->crit = "[\"a\",\"a\"]";
}

static void crit_empty(struct record *r)
{
    r->ext = "{\"a\":1}";
    r->crit = "[]";
}

static void revoke_with_certificate(struct record *r)
{
    r->t = RECORD_REVOKE;
    r->reason = RECORD_KEY_COMPROMISE;
    r->hsm[0] = 0;
    r->chip_len = 0;
}

static void revoke_with_chip(struct record *r)
{
    revoke_with_certificate(r);
    r->cert.p = r->spki.p = NULL;
    r->chip_len = 4;
}

static void void_with_reason_of_revoke(struct record *r)
{
    r->t = RECORD_VOID;
    r->reason = RECORD_KEY_COMPROMISE;
    r->hsm[0] = 0;
    r->chip_len = 0;
}

static void void_scrapped_with_chip(struct record *r)
{
    r->t = RECORD_VOID;
    r->reason = RECORD_SCRAPPED;
    r->hsm[0] = 0;
}

static void void_without_reason(struct record *r)
{
    r->t = RECORD_VOID;
    r->hsm[0] = 0;
}

static void ref_too_large(struct record *r)
{
    r->t = RECORD_REPLACE;
    r->ref = UINT64_C(1) << 53;
}

START_TEST(records_that_break_the_table_are_not_written)
{
    static change_record *const bad[] = {
        no_type,
        no_serial,
        serial_with_blank,
        serial_not_ascii,
        no_product,
        no_chip,
        chip_too_long,
        no_certificate,
        empty_certificate,
        no_key,
        no_mode,
        mode_unknown,
        derived_with_certificate,
        no_hsm,
        no_use,
        before_1970,
        after_9999,
        gtin_short,
        gtin_letters,
        date_impossible,
        ext_not_json,
        ext_not_object,
        ext_with_float,
        crit_without_ext,
        crit_of_absent_member,
        crit_twice,
        crit_empty,
        revoke_with_certificate,
        revoke_with_chip,
        void_with_reason_of_revoke,
        void_scrapped_with_chip,
        void_without_reason,
        ref_too_large,
    };
    struct kit_device d;
    struct buf line;

    begin();
    kit_device_init(&kit, &d, "SN-1");
    buf_init(&line, RECORD_LINE_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct record r = d.record;

        bad[i](&r);
        ck_assert_msg(record_write(&r, &line, &err) == ERR_INPUT, "case %zu", i);
        ck_assert_uint_eq(line.len, 0);
    }
    kit_device_done(&d);
    end();
}
END_TEST

/* Each changes the text of a good add record into one that must be refused. */
static const struct damage_edit edits[] = {
    {"{\"auth\"", "{ \"auth\""},
    {"\"auth\":\"none\",", ""},
    {"\"auth\":\"none\"", "\"auth\":\"None\""},
    {"\"auth\":\"none\"", "\"auth\":null"},
    {"\"auth\":\"none\"", "\"auth\":\"none\",\"auth\":\"none\""},
    {"\"auth\":\"none\",", "\"auth\":\"none\",\"b\":1,"},
    {"\"chip\":\"", "\"chip\":\"A"},
    {"\"chip\":\"", "\"chip\":\"0"},
    {"\"debug\":false", "\"debug\":0"},
    {"\"debug\":false,", ""}, /* canonical again, but with the wrong hash; see the test */
    {"\"version\":\"1.4.2\"", "\"version\":\"1.4.2\",\"x\":1"},
    {"\"version\":\"1.4.2\"", "\"version\":\"\""},
    {"\"lock\":true", "\"lock\":\"true\""},
    {"\"lock\":true", "\"lock\":true,\"m\":true"},
    {"\"mode\":\"hsm\"", "\"mode\":\"derived\""},
    {"\"mode\":\"hsm\"", "\"mode\":\"hsm\",\"n\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""},
    {"\"plain\":false", "\"plain\":false "},
    {"\"prod\":\"0", "\"prod\":\"\\u0030"},
    {"\"sn\":\"SN-1\"", "\"sn\":\"\""},
    {"\"sn\":\"SN-1\"", "\"sn\":\"SN 1\""},
    {"\"sn\":\"SN-1\"", "\"sn\":\"SN\\/1\""},
    {"\"sn\":\"SN-1\"", "\"sn\":\"SN\xc3\xa9\""},
    {"\"sn\":\"SN-1\"", "\"ref\":1,\"sn\":\"SN-1\""},
    {"\"t\":\"add\"", "\"t\":\"revoke\""},
    {"\"t\":\"add\"", "\"t\":\"replace\""},
    {"\"t\":\"add\"", "\"t\":\"adds\""},
    {"\"ts\":\"2026-11-21T10:00:00Z\"", "\"ts\":\"2026-11-21T10:00:00.0Z\""},
    {"\"ts\":\"2026-11-21T10:00:00Z\"", "\"ts\":\"2026-11-31T10:00:00Z\""},
    {"\"ts\":\"2026-11-21T10:00:00Z\"", "\"ts\":1700000000"},
    {"\"gtin\":\"09506000134352\"", "\"gtin\":\"9506000134352\""},
    {"\"mfd\":\"2026-11-21\"", "\"mfd\":\"261121\""},
    {"\"use\":\"registration\"}", "\"use\":\"registration\"} "},
    {"\"use\":\"registration\"}", "\"use\":\"registration\"}\n"},
    {"\"use\":\"registration\"}", "\"use\":\"registration\"}{}"},
    {"\"use\":\"registration\"}", "\"use\":\"registration\","},
    {"\"use\":\"registration\"}", "\"use\":\"registration\",\"v\":1.0}"},
    {"\"ev\":\"", "\"ext\":{\"b\":1,\"a\":2},\"ev\":\""},
    {"\"fw\":", "\"ext\":{\"b\":1,\"a\":2},\"fw\":"},
    {"\"fw\":", "\"ext\":{\"a\":1e2},\"fw\":"},
    {"\"fw\":", "\"ext\":[1],\"fw\":"},
    {"\"fw\":", "\"ext\":{\"a\":9007199254740993},\"fw\":"},
    {"\"fw\":", "\"ext\":{\"a\":[[[[[[[[1]]]]]]]]},\"fw\":"},
};

START_TEST(lines_that_are_not_exactly_a_record_are_refused)
{
    struct kit_device d;
    struct buf line, bad;

    begin();
    kit_device_init(&kit, &d, "SN-1");
    write_line(&d.record, &line);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        bool still_canonical = strcmp(edits[i].find, "\"debug\":false,") == 0;
        struct record r;
        int rc;

        buf_init(&bad, RECORD_LINE_MAX);
        damage_line(&line, &edits[i], &bad);
        rc = record_parse(bad.data, bad.len, &r, &err);
        ck_assert_msg(rc == (still_canonical ? 0 : ERR_FORMAT), "%s -> %s", edits[i].find,
                      edits[i].put);
        if (rc == 0)
            record_done(&r);
        buf_done(&bad);
    }
    for (size_t len = 0; len < line.len; len++) {
        struct record r;

        ck_assert_int_eq(record_parse(line.data, len, &r, &err), ERR_FORMAT);
    }
    buf_done(&line);
    kit_device_done(&d);
    end();
}
END_TEST

/* Reads a copy of exactly this size, so that a sanitizer sees a byte read behind it. */
static bool reads_back(const uint8_t *bytes, size_t len, bool evidence)
{
    uint8_t *copy = malloc(len ? len : 1);
    struct evidence e;
    struct record r;
    struct buf again;
    bool accepted;

    memcpy(copy, bytes, len);
    buf_init(&again, RECORD_LINE_MAX);
    if (evidence) {
        accepted = evidence_parse(copy, len, &e, NULL) == 0;
        if (accepted) {
            ASSERT_OK(evidence_write(&e, &again, &err), err);
            evidence_done(&e);
        }
    } else {
        accepted = record_parse(copy, len, &r, NULL) == 0;
        if (accepted) {
            ASSERT_OK(record_write(&r, &again, &err), err);
            record_done(&r);
        }
    }
    if (accepted) {
        ck_assert_uint_eq(again.len, len);
        ck_assert_mem_eq(again.data, copy, len);
    }
    buf_done(&again);
    free(copy);
    return accepted;
}

/* Every byte in turn is exchanged, and the line is cut there. */
static void change_every_byte(struct buf *line, bool evidence)
{
    static const char chars[] = "\"\\{}[],:0 nt\x7f";

    ck_assert(reads_back(line->data, line->len, evidence));
    for (size_t at = 0; at < line->len; at++) {
        uint8_t was = line->data[at];

        ck_assert(!reads_back(line->data, at, evidence));
        for (size_t i = 0; i < sizeof chars; i++) { /* the NUL as well */
            line->data[at] = (uint8_t)chars[i];
            (void)reads_back(line->data, line->len, evidence);
        }
        line->data[at] = was;
    }
}

START_TEST(a_line_with_any_byte_changed_is_refused_or_reads_back)
{
    struct kit_device d;
    struct buf line;

    begin();
    kit_device_init(&kit, &d, "SN-1");
    strcpy(d.record.prod, "P\"D\\1");
    d.record.ext = "{\"a\":[1,{\"b\":\"x\"}],\"c\":null}";
    write_line(&d.record, &line);
    change_every_byte(&line, false);
    buf_reset(&line);
    ASSERT_OK(evidence_write(&d.evidence, &line, &err), err);
    change_every_byte(&line, true);
    buf_done(&line);
    kit_device_done(&d);
    end();
}
END_TEST

START_TEST(every_member_of_an_add_record_is_required_but_the_optional_ones)
{
    static const char *const optional[] = {"fw", "udi"};
    struct kit_device d;
    struct buf line;
    json_t *all;
    const char *name;
    json_t *value;

    begin();
    kit_device_init(&kit, &d, "SN-1");
    write_line(&d.record, &line);
    all = json_loadb((char *)line.data, line.len, 0, NULL);
    ck_assert_uint_eq(json_object_size(all), 19);
    json_object_foreach(all, name, value)
    {
        json_t *less = json_copy(all);
        char *text;
        struct record r;
        bool may = false;

        for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
            may |= strcmp(optional[i], name) == 0;
        json_object_del(less, name);
        text = json_dumps(less, JSON_COMPACT | JSON_SORT_KEYS);
        ck_assert_msg(record_parse(text, strlen(text), &r, &err) == (may ? 0 : ERR_FORMAT), "%s",
                      name);
        if (may)
            record_done(&r);
        free(text);
        json_decref(less);
    }
    json_decref(all);
    buf_done(&line);
    kit_device_done(&d);
    end();
}
END_TEST

START_TEST(unknown_extensions_are_kept_and_refused_only_when_critical)
{
    struct record r = {.t = RECORD_ROTATE, .ts = 5, .ext = "{\"later\":{\"k\":[1]}}"}, again;
    struct buf line;

    write_line(&r, &line);
    ASSERT_OK(record_parse(line.data, line.len, &again, &err), err);
    ck_assert_str_eq(again.ext, r.ext);
    ck_assert_ptr_null(again.crit);
    record_done(&again);
    buf_done(&line);
    r.crit = "[\"later\"]";
    write_line(&r, &line);
    ASSERT_FAILS(record_parse(line.data, line.len, &again, &err), ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "'later'"));
    buf_done(&line);
}
END_TEST

CHECK_MAIN("record", a_line_with_any_byte_changed_is_refused_or_reads_back,
           every_type_of_record_reads_back_as_it_was_written,
           a_line_holds_its_members_in_order_and_nothing_else,
           records_that_break_the_table_are_not_written,
           lines_that_are_not_exactly_a_record_are_refused,
           every_member_of_an_add_record_is_required_but_the_optional_ones,
           unknown_extensions_are_kept_and_refused_only_when_critical)
