/*
 * The station's side of the link against hostile devices: byte 0 chooses a decoder of replies, the
 * frame reader, or the whole client on one of two ways, whose every request is answered with the next
 * part of the input (u16 length, bytes) under the right message and sequence.
 */
#include "fuzz.h"

#include "link/client.h"

#include <string.h>

enum {
    ALL_CLIENT = 0,
    ALL_FRAMES = 1,
    ALL_CERTIFICATE = 2,
    ALL_REPLIES = 3,
    ALL_CLIENT_KEYGEN = 255
};

/* ------ decoders ------ */

static int decode_hello(const uint8_t *p, size_t len, struct error *err)
{
    struct link_hello hello;
    uint8_t hash[32];
    int rc = link_hello_decode(p, len, &hello, err);

    /* What was taken can be hashed: X needs it. */
    if (rc == 0)
        FUZZ_ASSERT(link_facts_hash(&hello.facts, hash, err) == 0);
    return rc;
}

static int decode_begin(const uint8_t *p, size_t len, struct error *err)
{
    struct link_held held;
    int rc = link_begin_decode(p, len, &held, err);

    if (rc == 0)
        FUZZ_ASSERT(held.count <= IMPRINT_OBJECTS_MAX);
    return rc;
}

static int decode_put(const uint8_t *p, size_t len, struct error *err)
{
    uint32_t held;

    return link_put_decode(p, len, &held, err);
}

static int decode_commit(const uint8_t *p, size_t len, struct error *err)
{
    uint32_t count;

    return link_commit_decode(p, len, &count, err);
}

static int decode_prove(const uint8_t *p, size_t len, struct error *err)
{
    struct link_proof proof;

    return link_prove_decode(p, len, &proof, err);
}

static int decode_read(const uint8_t *p, size_t len, struct error *err)
{
    struct link_part part;
    int rc = link_read_decode(p, len, &part, err);

    if (rc == 0)
        FUZZ_ASSERT(part.len <= len && (part.len == 0 || part.bytes >= p));
    return rc;
}

static int decode_empty(const uint8_t *p, size_t len, struct error *err)
{
    return link_empty_decode(p, len, err);
}

static int decode_keygen(const uint8_t *p, size_t len, struct error *err)
{
    struct link_request request;
    int rc = link_keygen_decode(p, len, &request, err);

    if (rc == 0)
        FUZZ_ASSERT(request.csr_len > 0 && request.csr > p &&
                    request.csr + request.csr_len <= p + len);
    return rc;
}

typedef int decoder(const uint8_t *p, size_t len, struct error *err);
static decoder *const decoders[] = {decode_hello, decode_begin, decode_put,   decode_commit,
                                    decode_prove, decode_read,  decode_empty, decode_keygen};

static void fuzz_reply(uint8_t which, const uint8_t *p, size_t len)
{
    struct error err = ERROR_INIT;
    int rc = decoders[which % (sizeof decoders / sizeof *decoders)](p, len, &err);

    FUZZ_ASSERT(rc == 0 || rc == ERR_PROTOCOL || rc == ERR_REFUSED);
}

static void fuzz_frames(const uint8_t *p, size_t len)
{
    static struct link_frame_reader reader;
    struct link_frame frame;

    link_frame_reader_init(&reader);
    for (size_t i = 0; i < len; i++)
        if (link_frame_feed(&reader, p[i], &frame))
            FUZZ_ASSERT(frame.len <= IMPRINT_FRAME_MAX - IMPRINT_FRAME_OVERHEAD);
}

static void fuzz_certificate(const uint8_t *p, size_t len)
{
    struct error err = ERROR_INIT;
    struct link_station_cert cert;
    struct buf again;

    if (link_station_cert_parse(p, len, &cert, &err))
        return;
    buf_init(&again, IMPRINT_STATION_CERT_MAX);
    FUZZ_ASSERT(link_station_cert_encode(&cert, &again, &err) == 0);
    FUZZ_ASSERT(again.len == len && memcmp(again.data, p, len) == 0);
    buf_done(&again);
}

/* ------ the client ------ */

struct cable {
    struct transport transport;
    struct reader script;
    struct link_frame_reader requests;
    struct buf answer;
    size_t taken;
};

static int cable_write(struct transport *t, const uint8_t *bytes, size_t len, int timeout_ms,
                       struct error *err)
{
    struct cable *c = (struct cable *)t;
    struct link_frame request;
    const uint8_t *payload;
    size_t payload_len;

    (void)timeout_ms;
    (void)err;
    for (size_t i = 0; i < len; i++) {
        if (!link_frame_feed(&c->requests, bytes[i], &request))
            continue;
        buf_reset(&c->answer);
        c->taken = 0;
        if (reader_lp(&c->script, &payload, &payload_len, UINT16_MAX) == 0)
            link_frame_encode(&c->answer, (uint8_t)(request.message | IMPRINT_MSG_REPLY),
                              request.sequence, payload, payload_len);
    }
    return 0;
}

static int cable_read(struct transport *t, uint8_t *out, size_t max, size_t *got, int timeout_ms,
                      struct error *err)
{
    struct cable *c = (struct cable *)t;
    size_t left = buf_failed(&c->answer) ? 0 : c->answer.len - c->taken;

    (void)timeout_ms;
    if (left == 0)
        return error_set(err, ERR_GONE, "the device is silent for ever");
    *got = left < max ? left : max;
    memcpy(out, c->answer.data + c->taken, *got);
    c->taken += *got;
    return 0;
}

static const struct transport_ops cable_ops = {.write = cable_write, .read = cable_read};

static const struct link_object objects[] = {
    {.type = IMPRINT_OBJ_PRIVATE_KEY, .format = IMPRINT_FMT_PKCS8_RFC5649, .length = 80},
    {.type = IMPRINT_OBJ_CERTIFICATES, .format = IMPRINT_FMT_X509_DER, .length = 2000}};

static int provision(struct link_client *c, struct error *err)
{
    static const uint8_t nonce[32], tx[16], point[65] = {4}, bytes[2000];
    struct link_begin begin = {.suite = 1,
                               .environment = "test",
                               .serial = "SN-1",
                               .station_pub = link_key_p256(point),
                               .objects = objects,
                               .object_count = 2,
                               .sig = link_sig_p256(bytes),
                               .cert = bytes,
                               .cert_len = 100};
    struct link_hello hello;
    struct link_held held;
    struct link_proof proof;
    struct buf read;
    uint32_t count;
    int rc = link_client_hello(c, nonce, &hello, err);

    if (rc == 0)
        rc = link_client_begin(c, &begin, &held, err);
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        FUZZ_ASSERT(held.count == 2 && held.bytes[i] <= objects[i].length);
        rc = link_client_put_object(c, tx, objects[i].type, bytes, objects[i].length, held.bytes[i],
                                    err);
    }
    if (rc == 0)
        rc = link_client_commit(c, tx, &count, err);
    if (rc == 0)
        rc = link_client_prove(c, tx, nonce, &proof, err);
    buf_init(&read, LINK_CERTIFICATES_MAX);
    if (rc == 0)
        rc = link_client_read(c, &read, err);
    buf_done(&read);
    if (rc == 0)
        rc = link_client_lock(c, tx, err);
    return rc ? rc : link_client_abort(c, err);
}

/* A device that makes its key, is asked for its chain and for the end of what it holds, and goes. */
static int request_and_decommission(struct link_client *c, struct error *err)
{
    static const uint8_t nonce[32], tx[16], sig[64], bytes[100];
    const struct link_keygen keygen = {.environment = "test",
                                       .serial = "SN-1",
                                       .key_alg = IMPRINT_ALG_P384,
                                       .subject = (const uint8_t *)"0",
                                       .subject_len = 2,
                                       .sig = link_sig_p256(sig),
                                       .cert = bytes,
                                       .cert_len = sizeof bytes};
    const struct link_farewell farewell = {.chip_id_len = 8, .sig = link_sig_p256(sig)};
    struct link_request request;
    struct link_hello hello;
    struct buf chain;
    uint8_t tail[64];
    int rc = link_client_hello(c, nonce, &hello, err);

    if (rc == 0)
        rc = link_client_keygen(c, &keygen, &request, err);
    buf_init(&chain, IMPRINT_CHAIN_MAX);
    if (rc == 0)
        rc = link_client_read_chain(c, &chain, err);
    FUZZ_ASSERT(rc || chain.len <= IMPRINT_CHAIN_MAX);
    buf_done(&chain);
    if (rc == 0)
        rc = link_client_read_tail(c, 500, tail, sizeof tail, err);
    if (rc == 0)
        rc = link_client_lock(c, tx, err);
    return rc ? rc : link_client_decommission(c, &farewell, err);
}

static void fuzz_client(int (*way)(struct link_client *c, struct error *err), const uint8_t *p,
                        size_t len)
{
    static struct cable cable;
    static struct link_client client;
    struct error err = ERROR_INIT;

    cable.transport = (struct transport){&cable_ops, "memory"};
    reader_init(&cable.script, p, len);
    link_frame_reader_init(&cable.requests);
    buf_init(&cable.answer, LINK_FRAME_WIRE(IMPRINT_FRAME_MAX));
    link_client_init(&client, &cable.transport);
    if (way(&client, &err))
        FUZZ_ASSERT(err.text[0] != 0);
    buf_done(&cable.answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == ALL_CLIENT)
        fuzz_client(provision, data + 1, size - 1);
    else if (data[0] == ALL_CLIENT_KEYGEN)
        fuzz_client(request_and_decommission, data + 1, size - 1);
    else if (data[0] == ALL_FRAMES)
        fuzz_frames(data + 1, size - 1);
    else if (data[0] == ALL_CERTIFICATE)
        fuzz_certificate(data + 1, size - 1);
    else
        fuzz_reply((uint8_t)(data[0] - ALL_REPLIES), data + 1, size - 1);
    return 0;
}
