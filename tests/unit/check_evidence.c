/* Evidence lines and the transcript in them: only exact bytes are read. */
#include "check_util.h"
#include "manifest_damage.h"

#include "base/file.h"

#include <string.h>
#include <unistd.h>

static struct error err;
static char dir[] = "/tmp/check_evidence_XXXXXX";
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

START_TEST(evidence_reads_back_as_it_was_written)
{
    struct kit_device d;
    struct evidence again;
    struct buf first, second;

    begin();
    kit_device_init(&kit, &d, "SN-1");
    for (int attested = 0; attested < 2; attested++) {
        d.record.auth = attested ? RECORD_AUTH_ATTESTED : RECORD_AUTH_NONE;
        kit_prove(&kit, &d);
        buf_init(&first, RECORD_LINE_MAX);
        buf_init(&second, RECORD_LINE_MAX);
        ASSERT_OK(evidence_write(&d.evidence, &first, &err), err);
        ASSERT_OK(evidence_parse(first.data, first.len, &again, &err), err);
        ck_assert_int_eq(again.attested, attested);
        ASSERT_OK(evidence_write(&again, &second, &err), err);
        ck_assert_uint_eq(first.len, second.len);
        ck_assert_mem_eq(first.data, second.data, first.len);
        evidence_done(&again);
        for (size_t len = 0; len < first.len; len++)
            ck_assert_int_eq(evidence_parse(first.data, len, &again, &err), ERR_FORMAT);
        buf_done(&first);
        buf_done(&second);
    }
    d.evidence.proof_algorithm = IMPRINT_ALG_ED25519;
    buf_init(&first, RECORD_LINE_MAX);
    ASSERT_FAILS(evidence_write(&d.evidence, &first, &err), ERR_INPUT);
    kit_device_done(&d);
    end();
}
END_TEST

START_TEST(evidence_in_another_form_is_refused)
{
    static const struct damage_edit bad[] = {
        {"{\"att\":\"\"", "{\"att\":null"},     {"{\"att\":\"\",", "{"},
        {"{\"att\":\"\"", "{\"att\":\"AgE=\""}, {"\"nonce\":\"", "\"nonce\":\"AAAA"},
        {"\"proof\":\"AgE", "\"proof\":\"AgM"}, /* an algorithm that does not exist */
        {"\"proof\":\"AgE", "\"proof\":\"AgI"}, /* HMAC, with the length of a signature */
        {"\"sig\":\"AgE", "\"sig\":\"AgI"},     {"\"tx\":\"", "\"tx\":\"00"},
        {"\"x\":\"", "\"w\":\"\",\"x\":\""},    {"\"x\":\"", "\"x\":\"=="},
    };
    struct kit_device d;
    struct evidence e;
    struct buf line, edited;

    begin();
    kit_device_init(&kit, &d, "SN-1");
    buf_init(&line, RECORD_LINE_MAX);
    ASSERT_OK(evidence_write(&d.evidence, &line, &err), err);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buf_init(&edited, RECORD_LINE_MAX);
        damage_line(&line, &bad[i], &edited);
        ck_assert_msg(evidence_parse(edited.data, edited.len, &e, &err) == ERR_FORMAT, "%s",
                      bad[i].put);
        buf_done(&edited);
    }
    buf_done(&line);
    kit_device_done(&d);
    end();
}
END_TEST

START_TEST(a_transcript_is_read_exactly_to_its_end)
{
    struct kit_device d;
    struct transcript t;
    uint8_t longer[sizeof d.x + 1];

    begin();
    kit_device_init(&kit, &d, "SN-1");
    ck_assert_int_eq(transcript_parse(d.evidence.x.p, d.evidence.x.len, &t), 0);
    ck_assert_int_eq(t.suite, IMPRINT_SUITE_X963);
    ck_assert_uint_eq(t.serial.len, 4);
    ck_assert_mem_eq(t.serial.p, "SN-1", 4);
    for (size_t len = 0; len < d.evidence.x.len; len++)
        ck_assert_int_eq(transcript_parse(d.evidence.x.p, len, &t), ERR_FORMAT);
    memcpy(longer, d.evidence.x.p, d.evidence.x.len);
    longer[d.evidence.x.len] = 0;
    ck_assert_int_eq(transcript_parse(longer, d.evidence.x.len + 1, &t), ERR_FORMAT);
    kit_device_done(&d);
    end();
}
END_TEST

CHECK_MAIN("evidence", evidence_reads_back_as_it_was_written, evidence_in_another_form_is_refused,
           a_transcript_is_read_exactly_to_its_end)
