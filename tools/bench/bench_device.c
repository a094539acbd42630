#include "bench_device.h"

#include "agent/key.h"
#include "agent/port_openssl.h"
#include "link/transcript.h"
#include "station/vault/hello.h"

#include <string.h>

#define CHIP_SIZE  8
#define DER_HEADER 4 /* of a certificate: its length takes two bytes */

int bench_device_init(struct bench_device *d, struct error *err)
{
    memset(d, 0, sizeof *d);
    buf_init(&d->x, LINK_X_MAX);
    return imprint_agent_port_openssl_init(&d->crypto)
               ? 0
               : error_set(err, ERR_INTERNAL, "out of memory");
}

void bench_device_done(struct bench_device *d)
{
    imprint_agent_port_openssl_done(&d->crypto);
    buf_done(&d->x);
}

int bench_device_renew(struct bench_device *d, struct error *err)
{
    const struct imprint_agent_crypto *c = &d->crypto;

    d->hello = (struct wire_hello){.suite_count = 1,
                                   .suites = {IMPRINT_SUITE_ECB},
                                   .modes = IMPRINT_MODE_HSM,
                                   .chip_len = CHIP_SIZE,
                                   .firmware = "1.0.0",
                                   .lifecycle = IMPRINT_LIFE_FACTORY,
                                   .pinned = 1,
                                   .max_frame = IMPRINT_FRAME_MAX,
                                   .has_dev_pub = 1};
    if (c->random(c->context, d->hello.chip, CHIP_SIZE) &&
        c->random(c->context, d->transport, sizeof d->transport) &&
        c->p256_public(c->context, d->transport, d->hello.dev_pub))
        return 0;
    return error_set(err, ERR_CRYPTO, "a device cannot make its transport key");
}

static int bundle(const struct wire_plan *plan, uint8_t hash[IMPRINT_HASH_SIZE], struct error *err)
{
    struct link_object objects[IMPRINT_OBJECTS_MAX];

    for (size_t i = 0; i < plan->object_count; i++) {
        objects[i].type = plan->objects[i].type;
        objects[i].format = plan->objects[i].format;
        objects[i].length = plan->objects[i].length;
        memcpy(objects[i].hash, plan->objects[i].hash, sizeof objects[i].hash);
    }
    return link_bundle_hash(objects, plan->object_count, hash, err);
}

static int transcript(struct bench_device *d, const struct wire_plan *plan, struct error *err)
{
    struct link_transcript t = {.suite = plan->suite,
                                .environment = plan->environment,
                                .serial = plan->serial,
                                .chip_id = d->hello.chip,
                                .chip_id_len = d->hello.chip_len,
                                .dev_pub = link_key_p256(d->hello.dev_pub),
                                .station_pub = link_key_p256(plan->station_pub)};
    struct link_facts facts;
    int rc;

    memcpy(t.order_hash, plan->order_hash, sizeof t.order_hash);
    memcpy(t.transaction, plan->tx, sizeof t.transaction);
    memcpy(t.station_nonce, plan->station_nonce, sizeof t.station_nonce);
    hello_facts(&d->hello, &facts);
    rc = link_facts_hash(&facts, t.facts_hash, err);
    if (rc == 0)
        rc = bundle(plan, t.bundle_hash, err);
    buf_reset(&d->x);
    return rc ? rc : link_transcript_encode(&t, &d->x, err);
}

int bench_device_take(struct bench_device *d, const struct wire_plan *plan, struct buf *blob,
                      struct error *err)
{
    const struct imprint_agent_crypto *c = &d->crypto;
    uint8_t z[32], context[32], kek[IMPRINT_KEK_SIZE];
    const uint8_t *plain;
    size_t len;
    int rc = transcript(d, plan, err);

    if (rc)
        return rc;
    link_kek_context(&d->x, context);
    if (c->p256_ecdh(c->context, d->transport, plan->station_pub, z) &&
        c->aes256_encrypt(c->context, z, context, kek) &&
        c->aes256_encrypt(c->context, z, context + 16, kek + 16) &&
        imprint_agent_unwrap(c, kek, blob->data, blob->len, &plain, &len) &&
        imprint_agent_pkcs8(plain, len, d->key))
        return 0;
    return error_set(err, ERR_CRYPTO, "a device cannot open its key");
}

int bench_device_prove(struct bench_device *d, const struct buf *certificates,
                       const uint8_t nonce[IMPRINT_NONCE_SIZE], struct wire_proof *proof,
                       struct error *err)
{
    const struct imprint_agent_crypto *c = &d->crypto;
    struct link_prove said = {
        .alg = IMPRINT_ALG_ECDSA_SHA256, .lifecycle = IMPRINT_LIFE_FACTORY, .commit_count = 1};
    const uint8_t *leaf = certificates->data;
    uint8_t digest[32];
    struct buf message;
    int rc;

    memcpy(said.nonce, nonce, sizeof said.nonce);
    sha256(d->x.data, d->x.len, said.x_hash);
    sha256(leaf, (size_t)(leaf[2] << 8 | leaf[3]) + DER_HEADER, said.leaf_hash);
    buf_init(&message, LINK_X_MAX);
    rc = link_prove_message(&said, &message, err);
    sha256(message.data, message.len, digest);
    buf_done(&message);
    *proof = (struct wire_proof){.sig_len = IMPRINT_P256_SIG_SIZE,
                                 .lifecycle = said.lifecycle,
                                 .commit_count = said.commit_count};
    sha256(certificates->data, certificates->len, proof->read_back);
    if (rc == 0 && !c->p256_sign(c->context, d->key, digest, proof->sig))
        rc = error_set(err, ERR_CRYPTO, "a device cannot sign");
    return rc;
}
