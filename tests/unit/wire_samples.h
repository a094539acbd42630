/*
 * wire_samples: a sample of every message between vault and line, and each codec behind one
 * signature, for tests that treat all messages alike.
 */
#ifndef TESTS_WIRE_SAMPLES_H
#define TESTS_WIRE_SAMPLES_H

#include "check_util.h"

#include "station/wire/check.h"
#include "station/wire/hook.h"
#include "station/wire/wire.h"

#include <string.h>

/* One kind of message: how a sample is written, and how bytes are read and written again. */
struct kind {
    const char *name;
    size_t skip; /* bytes before what the decoder reads: operation or status */
    void (*sample)(struct buf *m);
    int (*decode)(struct reader *r, void *out);
    void (*encode)(struct buf *m, const void *v);
    size_t size; /* of the structure */
};

struct handle_index {
    uint8_t handle[WIRE_HANDLE_SIZE], index;
};

static inline void fill(void *out, size_t len, uint8_t mark)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)(mark + i);
}

static struct wire_open sample_open(void)
{
    struct wire_open v = {"slot-text"};

    return v;
}

static struct wire_hello sample_hello(void)
{
    struct wire_hello v = {.suite_count = 2,
                           .suites = {2, 1},
                           .modes = 1,
                           .chip_len = 8,
                           .firmware = "firmware-text",
                           .has_image_hash = 1,
                           .debug = 1,
                           .lifecycle = 1,
                           .pinned = 1,
                           .max_frame = 1024,
                           .has_dev_pub = 1,
                           .tx_state = 2,
                           .serial = "serial-text",
                           .has_attestation = 1};

    fill(v.handle, sizeof v.handle, 1);
    fill(v.chip, sizeof v.chip, 2);
    fill(v.image_hash, sizeof v.image_hash, 3);
    fill(v.dev_pub, sizeof v.dev_pub, 4);
    fill(v.tx, sizeof v.tx, 5);
    fill(v.attest_key, sizeof v.attest_key, 6);
    fill(v.attest_sig, sizeof v.attest_sig, 7);
    return v;
}

static struct wire_proof sample_proof(void)
{
    struct wire_proof v = {.lifecycle = 2, .commit_count = 0x01020304, .sig_len = 64};

    fill(v.handle, sizeof v.handle, 1);
    fill(v.sig, v.sig_len, 2);
    fill(v.read_back, sizeof v.read_back, 3);
    return v;
}

static struct wire_csr sample_csr(void)
{
    struct wire_csr v = {.has_attestation = 1, .csr_len = 8, .csr = "csr-text"};

    fill(v.handle, sizeof v.handle, 1);
    fill(v.attest_sig, sizeof v.attest_sig, 2);
    return v;
}

static struct wire_result sample_result(void)
{
    struct wire_result v = {.status = 18, .next = NEXT_RESEAT, .goes_on = 1, .text = "result-text"};

    fill(v.handle, sizeof v.handle, 1);
    return v;
}

static struct wire_noted sample_noted(void)
{
    return (struct wire_noted){.plant = "noted-text",
                               .condition = {.state = WIRE_SLOT_WORN_OUT, .text = "why-text"}};
}

static struct hook_answer sample_hook_answer(void)
{
    return (struct hook_answer){.number = 7, .verdict = HOOK_NO, .text = "hook-text"};
}

static struct wire_opened sample_opened(void)
{
    struct wire_opened v = {.wants_chain = 1,
                            .condition = {.state = WIRE_SLOT_WORN, .text = "opened-text"}};

    fill(v.handle, sizeof v.handle, 1);
    fill(v.nonce, sizeof v.nonce, 2);
    return v;
}

static struct wire_plan sample_plan(void)
{
    struct wire_plan v = {.action = WIRE_DELIVER,
                          .again = 1,
                          .serial = "serial-text",
                          .suite = 2,
                          .environment = "environ-text",
                          .station_cert_len = 9,
                          .station_cert = "cert-text",
                          .object_count = 3,
                          .key_alg = IMPRINT_ALG_P256,
                          .subject_len = 12,
                          .subject = "subject-text"};

    fill(v.tx, sizeof v.tx, 1);
    fill(v.order_hash, sizeof v.order_hash, 2);
    fill(v.station_nonce, sizeof v.station_nonce, 3);
    fill(v.station_pub, sizeof v.station_pub, 4);
    fill(v.station_sig, sizeof v.station_sig, 5);
    for (uint8_t i = 0; i < v.object_count; i++) {
        v.objects[i] = (struct wire_object_info){i, 2, 0x01000000u + i, {0}};
        fill(v.objects[i].hash, sizeof v.objects[i].hash, i);
    }
    return v;
}

static struct wire_counts sample_counts(void)
{
    struct wire_counts v = {.order = "order-text",
                            .product = "product-text",
                            .good = 0x01020304,
                            .proven = 0x05060708,
                            .available = 0x090a0b0c,
                            .remaining = 0x0d0e0f10};

    return v;
}

static struct wire_scan sample_scan(void)
{
    struct wire_scan v = {.live = 1,
                          .kind = WIRE_SCAN_MISMATCH,
                          .slot = "S1",
                          .serial = "serial-text",
                          .text = "what happened"};

    return v;
}

static struct wire_check sample_check(void)
{
    struct wire_check v = {
        .verdict = WIRE_CHECK_GOOD, .reason = 0x0102, .algorithm = IMPRINT_ALG_P256};

    fill(v.point, sizeof v.point, 1);
    return v;
}

/* For each message: the sample as bytes, and the codec behind one signature. */
#define STRUCT_KIND(name)                                                                          \
    static void put_sample_##name(struct buf *m)                                                   \
    {                                                                                              \
        struct wire_##name v = sample_##name();                                                    \
                                                                                                   \
        wire_put_##name(m, &v);                                                                    \
    }                                                                                              \
    static int get_##name(struct reader *r, void *out)                                             \
    {                                                                                              \
        return wire_get_##name(r, out);                                                            \
    }                                                                                              \
    static void put_##name(struct buf *m, const void *v)                                           \
    {                                                                                              \
        wire_put_##name(m, v);                                                                     \
    }
STRUCT_KIND(open)
STRUCT_KIND(hello)
STRUCT_KIND(proof)
STRUCT_KIND(result)
STRUCT_KIND(csr)
STRUCT_KIND(opened)
STRUCT_KIND(plan)
STRUCT_KIND(counts)
STRUCT_KIND(scan)
STRUCT_KIND(check)
static void put_sample_ack(struct buf *m)
{
    wire_put_ack(m, "slot-text");
}

static int get_ack(struct reader *r, void *out)
{
    return wire_get_ack(r, out);
}

static void put_ack(struct buf *m, const void *v)
{
    wire_put_ack(m, v);
}

STRUCT_KIND(noted)

static void put_sample_hook_answer(struct buf *m)
{
    struct hook_answer v = sample_hook_answer();

    wire_put_hook_answer(m, &v);
}

static int get_hook_answer(struct reader *r, void *out)
{
    return wire_get_hook_answer(r, out);
}

static void put_hook_answer(struct buf *m, const void *v)
{
    wire_put_hook_answer(m, v);
}

static void put_sample_object(struct buf *m)
{
    uint8_t handle[WIRE_HANDLE_SIZE];

    fill(handle, sizeof handle, 9);
    wire_put_object(m, handle, 7);
}

static int get_object(struct reader *r, void *out)
{
    struct handle_index *v = out;

    return wire_get_object(r, v->handle, &v->index);
}

static void put_object(struct buf *m, const void *v)
{
    const struct handle_index *h = v;

    wire_put_object(m, h->handle, h->index);
}

static void put_sample_nonce(struct buf *m)
{
    uint8_t handle[WIRE_HANDLE_SIZE];

    fill(handle, sizeof handle, 9);
    wire_put_nonce(m, handle);
}

static int get_nonce(struct reader *r, void *out)
{
    return wire_get_nonce(r, out);
}

static void put_nonce(struct buf *m, const void *v)
{
    wire_put_nonce(m, v);
}

#define KIND(name, size)                                                                           \
    {                                                                                              \
#name, 1, put_sample_##name, get_##name, put_##name, size                                  \
    }

static const struct kind kinds[] = {
    KIND(open, sizeof(struct wire_open)),
    KIND(hello, sizeof(struct wire_hello)),
    KIND(object, sizeof(struct handle_index)),
    KIND(nonce, WIRE_HANDLE_SIZE),
    KIND(proof, sizeof(struct wire_proof)),
    KIND(result, sizeof(struct wire_result)),
    KIND(opened, sizeof(struct wire_opened)),
    KIND(plan, sizeof(struct wire_plan)),
    KIND(csr, sizeof(struct wire_csr)),
    {"check", 0, put_sample_check, get_check, put_check, sizeof(struct wire_check)},
    KIND(counts, sizeof(struct wire_counts)),
    KIND(scan, sizeof(struct wire_scan)),
    KIND(ack, WIRE_SLOT_MAX + 1),
    KIND(noted, sizeof(struct wire_noted)),
    {"hook_answer", 0, put_sample_hook_answer, get_hook_answer, put_hook_answer,
     sizeof(struct hook_answer)},
};
#define KINDS (sizeof kinds / sizeof *kinds)

union any {
    struct wire_open open;
    struct wire_hello hello;
    struct handle_index object;
    struct wire_proof proof;
    struct wire_result result;
    struct wire_opened opened;
    struct wire_plan plan;
    struct wire_check check;
    struct wire_counts counts;
    struct wire_scan scan;
    struct wire_csr csr;
    struct wire_noted noted;
    struct hook_answer hook_answer;
    uint8_t bytes[4096];
};

#endif
