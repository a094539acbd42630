/* The part of the bench that delivers bundles and judges what the device makes of them. */
#include "station/conform/bench.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

uint32_t bench_mode(const struct bench *b)
{
    uint32_t modes = b->hello.facts.modes;

    return modes & IMPRINT_MODE_HSM       ? IMPRINT_MODE_HSM
           : modes & IMPRINT_MODE_DERIVED ? IMPRINT_MODE_DERIVED
                                          : IMPRINT_MODE_DEVICE;
}

bool bench_offers(const struct bench *b, uint16_t suite)
{
    for (size_t i = 0; i < b->hello.facts.suite_count; i++)
        if (b->hello.facts.suites[i] == suite)
            return true;
    return false;
}

uint16_t bench_suite(const struct bench *b, uint32_t mode)
{
    if (mode == IMPRINT_MODE_DEVICE)
        return IMPRINT_SUITE_NONE;
    return bench_offers(b, IMPRINT_SUITE_X963) ? IMPRINT_SUITE_X963 : IMPRINT_SUITE_ECB;
}

int bench_keygen(struct bench *b, struct error *err)
{
    struct link_request request;
    int rc = link_client_keygen(&b->client, &b->bundle->keygen, &request, err);

    return rc ? rc : bundle_request(b->bundle, &b->provider, &request, err);
}

int bench_prepare(struct bench *b, uint32_t mode, uint16_t suite, struct error *err)
{
    char serial[IMPRINT_SERIAL_MAX + 1];
    int rc = 0;

    snprintf(serial, sizeof serial, "CONFORM-%04u", ++b->serials);
    bundle_free(b->bundle);
    b->bundle = bundle_new(&b->provider, mode, serial, err);
    if (!b->bundle)
        return err->code;
    if (mode == IMPRINT_MODE_DEVICE)
        rc = bundle_keygen(b->bundle, &b->provider, &b->hello, b->nonce, err);
    if (rc == 0 && mode == IMPRINT_MODE_DEVICE)
        rc = bench_keygen(b, err);
    return rc ? rc : bundle_offer(b->bundle, &b->provider, &b->hello, b->nonce, suite, err);
}

int bench_prepare_any(struct bench *b, struct error *err)
{
    uint32_t mode = bench_mode(b);

    return bench_prepare(b, mode, bench_suite(b, mode), err);
}

int bench_begin(struct bench *b, struct link_held *held, struct error *err)
{
    return link_client_begin(&b->client, &b->bundle->begin, held, err);
}

int bench_open_any(struct bench *b, struct error *err)
{
    struct link_held held;
    int rc = bench_prepare_any(b, err);

    return rc ? rc : bench_begin(b, &held, err);
}

int bench_holds_nothing(const struct link_held *held, const char *when, struct error *err)
{
    for (size_t i = 0; i < held->count; i++)
        if (held->bytes[i] != 0)
            return error_set(err, ERR_PROTOCOL, "BEGIN %s says that bytes are held", when);
    return 0;
}

int bench_begin_refused(struct bench *b, unsigned statuses, struct error *err)
{
    struct link_held held;

    return bench_expect(bench_begin(b, &held, err), statuses, err);
}

int bench_put_all(struct bench *b, const struct link_held *held, struct error *err)
{
    const struct link_begin *begin = &b->bundle->begin;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < begin->object_count; i++) {
        const struct link_object *row = &begin->objects[i];

        rc = link_client_put_object(&b->client, begin->transaction, row->type,
                                    b->bundle->bytes[row->type].data, row->length,
                                    held ? held->bytes[i] : 0, err);
    }
    return rc;
}

int bench_deliver(struct bench *b, struct error *err)
{
    struct link_held held;
    int rc = bench_begin(b, &held, err);

    return rc ? rc : bench_put_all(b, &held, err);
}

int bench_commit(struct bench *b, struct error *err)
{
    uint32_t count, before = b->hello.commit_count;
    int rc = link_client_commit(&b->client, b->bundle->begin.transaction, &count, err);

    if (rc)
        return rc;
    bundle_free(b->identity);
    b->identity = b->bundle;
    b->bundle = NULL;
    if (count != before + 1)
        return error_set(err, ERR_PROTOCOL, "COMMIT answers a commit count of %u instead of %u",
                         (unsigned)count, (unsigned)before + 1);
    b->hello.commit_count = count;
    return 0;
}

int bench_commit_refused(struct bench *b, unsigned statuses, struct error *err)
{
    uint32_t count;

    return bench_expect(link_client_commit(&b->client, b->bundle->begin.transaction, &count, err),
                        statuses, err);
}

static int check_read(struct bench *b, struct error *err)
{
    const struct buf *certificates = &b->identity->bytes[IMPRINT_OBJ_CERTIFICATES];
    struct buf read;
    int rc;

    buf_init(&read, LINK_CERTIFICATES_MAX);
    rc = link_client_read(&b->client, &read, err);
    if (b->identity->mode == IMPRINT_MODE_DERIVED)
        rc = bench_expect(rc, STATUS(STATE), err);
    else if (rc == 0 &&
             (read.len != certificates->len || memcmp(read.data, certificates->data, read.len)))
        rc = error_set(err, ERR_PROTOCOL, "READ returns other certificates than were put");
    buf_done(&read);
    return rc;
}

int bench_prove(struct bench *b, struct error *err)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct link_proof proof;
    int rc;

    if (RAND_bytes(nonce, sizeof nonce) != 1)
        return error_set(err, ERR_CRYPTO, "no random numbers");
    rc = link_client_prove(&b->client, b->identity->begin.transaction, nonce, &proof, err);
    if (rc == 0)
        rc = bundle_proof(b->identity, &proof, nonce, err);
    if (rc == 0 && proof.lifecycle != b->hello.facts.lifecycle)
        rc = error_set(err, ERR_PROTOCOL, "the proof says life cycle %d, HELLO said %u",
                       (int)proof.lifecycle, (unsigned)b->hello.facts.lifecycle);
    if (rc == 0 && proof.commit_count != b->hello.commit_count)
        rc = error_set(err, ERR_PROTOCOL, "the proof says commit count %u, COMMIT said %u",
                       (unsigned)proof.commit_count, (unsigned)b->hello.commit_count);
    return rc ? rc : check_read(b, err);
}

int bench_complete(struct bench *b, struct error *err)
{
    int rc = bench_commit(b, err);

    return rc ? rc : bench_prove(b, err);
}

int bench_provision(struct bench *b, uint32_t mode, uint16_t suite, struct error *err)
{
    int rc = bench_prepare(b, mode, suite, err);

    if (rc == 0)
        rc = bench_deliver(b, err);
    return rc ? rc : bench_complete(b, err);
}

void bench_farewell_of(const struct bench *b, struct link_farewell *f)
{
    uint8_t sig[EC_SIG_SIZE] = {0};
    struct error err = ERROR_INIT;
    struct buf message;

    *f = (struct link_farewell){.chip_id_len = b->hello.facts.chip_id_len};
    memcpy(f->chip_id, b->hello.facts.chip_id, f->chip_id_len);
    bundle_identity(b->identity, f->identity);
    buf_init(&message, LINK_X_MAX);
    /* What fails here leaves a signature that the device refuses. */
    if (link_decommission_message(f->chip_id, f->chip_id_len, f->identity, &message, &err) == 0)
        (void)!ec_sign(b->provider.owner, message.data, message.len, sig, &err);
    f->sig = link_sig_p256(sig);
    buf_done(&message);
}

int bench_farewell(struct bench *b, struct error *err)
{
    struct link_farewell farewell;
    int rc;

    bench_farewell_of(b, &farewell);
    rc = link_client_decommission(&b->client, &farewell, err);
    if (rc == 0) {
        bundle_free(b->identity);
        b->identity = NULL;
    }
    return rc;
}
