/*
 * What an importer reads: byte 0 chooses records, statements, evidence, checkpoints, signed notes,
 * proofs of inclusion, transcripts and certificates. What has a writer is written again to the same
 * bytes, so nothing signed has two forms.
 */
#include "fuzz.h"

#include "manifests/cert.h"
#include "manifests/evidence.h"
#include "manifests/note.h"
#include "manifests/proof.h"
#include "manifests/statement.h"

#include <string.h>

#define WRITTEN_MAX (1024 * 1024)

static struct error err;
static struct buf again;

static void check_same(int rc, const uint8_t *p, size_t len)
{
    FUZZ_ASSERT(rc == 0 && !buf_failed(&again));
    FUZZ_ASSERT(again.len == len && memcmp(again.data, p, len) == 0);
}

static void fuzz_record(const uint8_t *p, size_t len)
{
    struct record r;

    if (record_parse(p, len, &r, &err))
        return;
    check_same(record_write(&r, &again, &err), p, len);
    record_done(&r);
}

static void fuzz_statement(const uint8_t *p, size_t len)
{
    struct statement s;

    if (statement_parse(p, len, &s, &err))
        return;
    check_same(statement_write(&s, &again, &err), p, len);
    statement_done(&s);
}

static void fuzz_evidence(const uint8_t *p, size_t len)
{
    struct evidence e;

    if (evidence_parse(p, len, &e, &err))
        return;
    check_same(evidence_write(&e, &again, &err), p, len);
    evidence_done(&e);
}

static void fuzz_checkpoint(const uint8_t *p, size_t len)
{
    struct checkpoint c;

    if (checkpoint_parse(p, len, &c, &err))
        return;
    checkpoint_write(&c, &again);
    check_same(0, p, len);
}

/* A verifier key, a line end, then what is verified with it. */
static void fuzz_signed(const uint8_t *p, size_t len, bool proof)
{
    const uint8_t *end = memchr(p, '\n', len);
    struct note_key key;
    struct proof_report report;
    size_t text_len, left;

    if (!end || note_key_parse((const char *)p, (size_t)(end - p), &key, &err))
        return;
    left = len - (size_t)(end + 1 - p);
    if (!proof && note_verify(end + 1, left, &key, &text_len, &err) == 0)
        FUZZ_ASSERT(text_len <= left);
    if (proof && proof_verify(end + 1, left, &key, &report, &err) == 0)
        proof_report_done(&report);
    note_key_done(&key);
}

static void fuzz_transcript(const uint8_t *p, size_t len)
{
    struct transcript t;

    if (transcript_parse(p, len, &t) == 0)
        FUZZ_ASSERT(t.bundle.len == 32 && (const uint8_t *)t.bundle.p + 32 == p + len);
}

static void fuzz_cert(const uint8_t *p, size_t len)
{
    struct cert cert;

    if (cert_parse(p, len, &cert) == 0)
        FUZZ_ASSERT(cert.tbs.len + cert.signature.len < len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *p = data + 1;
    size_t len = size - 1;

    if (size == 0)
        return 0;
    err = (struct error)ERROR_INIT;
    buf_init(&again, WRITTEN_MAX);
    switch (data[0]) {
    case 'r':
        fuzz_record(p, len);
        break;
    case 's':
        fuzz_statement(p, len);
        break;
    case 'e':
        fuzz_evidence(p, len);
        break;
    case 'k':
        fuzz_checkpoint(p, len);
        break;
    case 'n':
    case 'p':
        fuzz_signed(p, len, data[0] == 'p');
        break;
    case 'x':
        fuzz_transcript(p, len);
        break;
    case 'c':
        fuzz_cert(p, len);
        break;
    default:
        break;
    }
    buf_done(&again);
    return 0;
}
