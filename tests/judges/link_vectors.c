/*
 * Provisions a device in memory with each suite, and with a key that it makes, and prints, as JSON, what went in, what crossed the
 * link, and every value that station and device computed on the way. link_vectors.py computes it
 * all again with other software. docs/device-link-vectors.json is one such output, kept.
 */
#include "tests/unit/agent_rig.h"

#include "base/jcs.h"

#include <check.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct error err;

static void must(int rc)
{
    ck_assert_msg(rc == 0, "%s: %s", error_name(rc), err.text);
}

static void put_buf(struct jcs *j, const char *name, const struct buf *b)
{
    jcs_hex(j, name, b->data, b->len);
}

/* The keys that the device draws: of interest to nobody but who reads the vectors. */
static bool (*draw)(void *context, uint8_t *out, size_t len);
static uint8_t drawn[2][32]; /* the transport key, and the key that it made */
static int draws;

static bool draw_and_keep(void *context, uint8_t *out, size_t len)
{
    bool ok = draw(context, out, len);

    ck_assert_uint_eq(len, sizeof drawn[0]);
    ck_assert_int_lt(draws, 2);
    memcpy(drawn[draws++], out, len);
    return ok;
}

static void put_facts(struct jcs *j, const struct link_facts *f)
{
    struct buf b;

    buf_init(&b, LINK_FACTS_MAX);
    must(link_facts_encode(f, &b, &err));
    jcs_object(j, "facts");
    jcs_hex(j, "chip_id", f->chip_id, f->chip_id_len);
    jcs_bool(j, "debug", f->debug);
    jcs_hex(j, "dev_pub", f->dev_pub.bytes, f->dev_pub.len);
    put_buf(j, "encoded", &b);
    jcs_str(j, "firmware", f->firmware);
    jcs_int(j, "frame_max", f->frame_max);
    if (f->has_image_hash)
        jcs_hex(j, "image_hash", f->image_hash, sizeof f->image_hash);
    jcs_int(j, "lifecycle", f->lifecycle);
    jcs_int(j, "modes", f->modes);
    jcs_bool(j, "pinned", f->pinned);
    jcs_array(j, "suites");
    for (size_t i = 0; i < f->suite_count; i++)
        jcs_int(j, NULL, f->suites[i]);
    jcs_end(j);
    jcs_end(j);
    buf_done(&b);
}

static void put_objects(struct jcs *j, const struct link_begin *b)
{
    jcs_array(j, "objects");
    for (size_t i = 0; i < b->object_count; i++) {
        jcs_object(j, NULL);
        jcs_int(j, "format", b->objects[i].format);
        jcs_hex(j, "hash", b->objects[i].hash, 32);
        jcs_int(j, "length", b->objects[i].length);
        jcs_int(j, "type", b->objects[i].type);
        jcs_end(j);
    }
    jcs_end(j);
}

/* The objects that only some sessions have; "..." in the document. */
static void put_more_objects(struct jcs *j, const struct rig_station *s)
{
    const struct {
        const char *name;
        const struct buf *bytes;
    } all[] = {{"configuration", &s->configuration},
               {"configuration_key", &s->configuration_spki},
               {"decommission_key", &s->decommission_spki},
               {"firmware_key", &s->firmware_key}};

    jcs_object(j, "more");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].bytes->len)
            put_buf(j, all[i].name, all[i].bytes);
    if (s->has_symmetric)
        put_buf(j, "wrapped_symmetric", &s->wrapped_symmetric);
    jcs_end(j);
}

/* The owner's last word, where the bundle has its key. */
static void put_decommission(struct jcs *j, const struct rig *rig, const struct rig_station *s)
{
    struct link_farewell f;
    struct buf b;

    if (!s->decommission_key)
        return;
    f = rig_farewell(rig, s);
    buf_init(&b, IMPRINT_FRAME_MAX);
    jcs_object(j, "decommission");
    jcs_hex(j, "identity", f.identity, sizeof f.identity);
    must(link_decommission_message(f.chip_id, f.chip_id_len, f.identity, &b, &err));
    put_buf(j, "message", &b);
    buf_reset(&b);
    link_decommission_encode(&b, &f);
    put_buf(j, "request", &b);
    jcs_hex(j, "signature", f.sig.bytes, f.sig.len);
    jcs_end(j);
    buf_done(&b);
}

static void put_station(struct jcs *j, const struct rig_station *s)
{
    bool travels = s->begin.suite != IMPRINT_SUITE_NONE;
    uint8_t context[32];
    struct buf message;

    link_kek_context(&s->x, context);
    buf_init(&message, LINK_X_MAX);
    must(link_station_message(&s->x, &message, &err));
    jcs_object(j, "station");
    put_buf(j, "anchors", &s->anchors);
    jcs_hex(j, "authority", s->authority_point, 65);
    put_buf(j, "certificate", &s->cert);
    put_buf(j, "certificates", &s->certificates);
    if (travels)
        jcs_hex(j, "context", context, sizeof context);
    jcs_str(j, "environment", s->begin.environment);
    if (travels) {
        jcs_hex(j, "ephemeral_pub", s->begin.station_pub.bytes, s->begin.station_pub.len);
        jcs_hex(j, "kek", s->kek, sizeof s->kek);
    }
    put_buf(j, "message", &message);
    jcs_hex(j, "nonce", s->begin.station_nonce, 32);
    jcs_hex(j, "order_hash", s->begin.order_hash, 32);
    jcs_str(j, "serial", s->begin.serial);
    jcs_hex(j, "signature", s->begin.sig.bytes, s->begin.sig.len);
    jcs_int(j, "suite", s->begin.suite);
    jcs_hex(j, "transaction", s->begin.transaction, 16);
    if (travels)
        put_buf(j, "wrapped", &s->wrapped);
    put_buf(j, "x", &s->x);
    jcs_hex(j, "x_hash", s->x_hash, sizeof s->x_hash);
    if (travels)
        jcs_hex(j, "z", s->z, sizeof s->z);
    jcs_end(j);
    buf_done(&message);
}

static void put_proof(struct jcs *j, struct rig *rig, const struct rig_station *s)
{
    struct link_prove p = {.alg = s->derived ? IMPRINT_ALG_HMAC_SHA256 : IMPRINT_ALG_ECDSA_SHA256};
    struct link_proof proof;
    struct buf message;

    must(link_client_prove(&rig->client, s->begin.transaction, rig_prove_nonce, &proof, &err));
    memcpy(p.nonce, rig_prove_nonce, sizeof p.nonce);
    memcpy(p.x_hash, s->x_hash, sizeof p.x_hash);
    memcpy(p.leaf_hash, s->leaf_hash, sizeof p.leaf_hash);
    p.lifecycle = (uint8_t)proof.lifecycle;
    p.commit_count = proof.commit_count;
    buf_init(&message, LINK_X_MAX);
    must(link_prove_message(&p, &message, &err));
    jcs_object(j, "proof");
    jcs_int(j, "commit_count", proof.commit_count);
    if (!s->derived)
        jcs_hex(j, "leaf_hash", s->leaf_hash, sizeof s->leaf_hash);
    jcs_int(j, "lifecycle", proof.lifecycle);
    put_buf(j, "message", &message);
    jcs_hex(j, "nonce", rig_prove_nonce, 32);
    jcs_hex(j, "signature", proof.sig.bytes, proof.sig.len);
    jcs_end(j);
    buf_done(&message);
}

static void put_attestation(struct jcs *j, const struct link_hello *hello)
{
    struct buf message;

    buf_init(&message, LINK_X_MAX);
    must(link_attest_message(&hello->facts, rig_hello_nonce, &message, &err));
    jcs_object(j, "attestation");
    jcs_hex(j, "key", hello->attest_key.bytes, hello->attest_key.len);
    put_buf(j, "message", &message);
    jcs_hex(j, "signature", hello->attest_sig.bytes, hello->attest_sig.len);
    jcs_end(j);
    buf_done(&message);
}

/* What only one side knows. */
static void put_secrets(struct jcs *j, const struct rig_station *s)
{
    jcs_object(j, "secrets");
    if (s->begin.suite == IMPRINT_SUITE_NONE) {
        jcs_hex(j, "made", drawn[1], sizeof drawn[1]);
    } else {
        jcs_hex(j, "ephemeral", s->ephemeral, sizeof s->ephemeral);
        put_buf(j, "pkcs8", &s->plain);
    }
    if (s->has_symmetric)
        jcs_hex(j, "symmetric", s->symmetric, sizeof s->symmetric);
    jcs_hex(j, "transport", drawn[0], sizeof drawn[0]);
    jcs_end(j);
}

/* KEYGEN, what the station signed for it, the request it answered, and the key's attestation. */
static void put_keygen(struct jcs *j, const struct rig_station *s, const struct link_hello *hello,
                       const struct buf *x)
{
    const struct public_key made = key_p256(s->device_point);
    struct buf message;

    buf_init(&message, LINK_X_MAX);
    must(link_attest_key_message(&hello->facts, rig_hello_nonce, &made, &message, &err));
    jcs_object(j, "key_attestation");
    put_buf(j, "message", &message);
    jcs_hex(j, "signature", s->attest_key_sig.bytes, s->attest_key_sig.len);
    jcs_end(j);
    buf_reset(&message);
    must(link_keygen_message(x, &message, &err));
    jcs_object(j, "keygen");
    put_buf(j, "csr", &s->csr);
    put_buf(j, "message", &message);
    jcs_hex(j, "signature", s->keygen.sig.bytes, s->keygen.sig.len);
    jcs_hex(j, "subject", s->keygen.subject, s->keygen.subject_len);
    put_buf(j, "x", x);
    jcs_end(j);
    buf_done(&message);
}

/* The payloads of the requests that say it all. */
static void put_requests(struct jcs *j, const struct rig_station *s)
{
    struct buf b;

    buf_init(&b, IMPRINT_FRAME_MAX);
    jcs_object(j, "requests");
    link_begin_encode(&b, &s->begin);
    put_buf(j, "begin", &b);
    buf_reset(&b);
    link_hello_encode(&b, s->begin.station_nonce);
    put_buf(j, "hello", &b);
    if (s->begin.suite == IMPRINT_SUITE_NONE) {
        buf_reset(&b);
        link_keygen_encode(&b, &s->keygen);
        put_buf(j, "keygen", &b);
    }
    jcs_end(j);
    buf_done(&b);
}

enum bundle { PLAIN, EVERY_OBJECT, DERIVED };

static void run_session(struct jcs *j, uint16_t suite, enum bundle bundle_kind)
{
    static struct rig rig;
    static struct rig_station s;
    static const uint8_t image[32] = "hash of the image";
    struct link_hello hello;
    struct buf keygen_x;
    uint8_t point[65], bundle[32];

    draws = 0;
    buf_init(&keygen_x, LINK_X_MAX);
    rig_station_init(&s, "SN/0001+x");
    if (bundle_kind != PLAIN)
        rig_every_object(&s, bundle_kind == DERIVED);
    rig_init(&rig, s.authority_point);
    draw = rig.platform.crypto.random;
    rig.platform.crypto.random = draw_and_keep;
    rig.platform.image_hash = suite == IMPRINT_SUITE_ECB ? image : NULL;
    rig.enrolled = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    must(ec_point(rig.enrolled, point, &err));
    rig.platform.enrol_point = point;
    must(rig_hello(&rig, &hello, &err));
    if (suite == IMPRINT_SUITE_ECB)
        rig_plain_softhsm(&s);
    if (suite == IMPRINT_SUITE_NONE) {
        rig_prepare_keygen(&s, &hello);
        buf_put(&keygen_x, s.x.data, s.x.len);
        must(rig_keygen(&rig, &s, &err));
        rig_prepare_made(&s, &hello);
    } else {
        rig_prepare(&s, &hello, suite);
    }
    must(rig_put_all(&rig, &s, &err));
    must(rig_commit(&rig, &s, &err));
    jcs_object(j, NULL);
    put_attestation(j, &hello);
    must(link_bundle_hash(s.begin.objects, s.begin.object_count, bundle, &err));
    jcs_hex(j, "bundle_hash", bundle, sizeof bundle);
    put_decommission(j, &rig, &s);
    put_facts(j, &hello.facts);
    if (suite == IMPRINT_SUITE_NONE)
        put_keygen(j, &s, &hello, &keygen_x);
    put_more_objects(j, &s);
    put_objects(j, &s.begin);
    put_proof(j, &rig, &s);
    put_requests(j, &s);
    put_secrets(j, &s);
    put_station(j, &s);
    jcs_end(j);
    buf_done(&keygen_x);
    rig_done(&rig);
    rig_station_done(&s);
}

/* The rig asserts with Check, so all runs as a test, which prints nothing of its own. */
START_TEST(print_vectors)
{
    struct buf out;
    struct jcs j;

    buf_init(&out, 200000);
    jcs_init(&j, &out);
    jcs_array(&j, NULL);
    run_session(&j, IMPRINT_SUITE_ECB, PLAIN);
    run_session(&j, IMPRINT_SUITE_X963, PLAIN);
    run_session(&j, IMPRINT_SUITE_NONE, PLAIN);
    run_session(&j, IMPRINT_SUITE_X963, EVERY_OBJECT);
    run_session(&j, IMPRINT_SUITE_ECB, DERIVED);
    jcs_end(&j);
    must(buf_check(&out, "the vectors", &err));
    printf("%.*s\n", (int)out.len, (char *)out.data);
    buf_done(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vectors");
    TCase *tcase = tcase_create("vectors");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, print_vectors);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_SILENT);
    failed = srunner_ntests_failed(runner);
    if (failed) {
        TestResult **results = srunner_failures(runner);

        fprintf(stderr, "link_vectors: %s\n", tr_msg(results[0]));
        free(results);
    }
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
