#include "link/client.h"

#include "base/clock.h"

#include <string.h>

/* Bytes of a PUT frame besides the object's own: 8 of framing, 41 of CBOR at most. */
#define PUT_OVERHEAD 64

void link_client_init(struct link_client *c, struct transport *transport)
{
    *c = (struct link_client){
        .transport = transport,
        .timeout_ms = LINK_CLIENT_TIMEOUT_MS,
        .tries = LINK_CLIENT_TRIES,
        .frame_max = IMPRINT_FRAME_MIN,
        /* Not where the program before this one began: its last answer may still be on the way. */
        .sequence = (uint16_t)clock_mono_ms(),
    };
    link_frame_reader_init(&c->reader);
}

/* Waits for the answer to the current sequence number. */
static int await_reply(struct link_client *c, uint8_t message, struct link_frame *reply,
                       struct error *err)
{
    int64_t deadline = clock_mono_ms() + c->timeout_ms;
    uint8_t chunk[512];
    size_t got;
    int rc;

    for (;;) {
        int64_t left = deadline - clock_mono_ms();

        if (left <= 0)
            return error_set(err, ERR_TIMEOUT, "no answer");
        rc = transport_read(c->transport, chunk, sizeof chunk, &got, (int)left, err);
        if (rc)
            return rc;
        c->noise += got;
        if (c->noise > LINK_CLIENT_NOISE_MAX)
            return error_set(err, ERR_PROTOCOL, "more than %d bytes came that are no answer",
                             LINK_CLIENT_NOISE_MAX);
        /* What follows the answer in this chunk can only be a late repeat of it. */
        for (size_t i = 0; i < got; i++) {
            if (!link_frame_feed(&c->reader, chunk[i], reply))
                continue;
            c->framed = true;
            if (reply->message == (message | IMPRINT_MSG_REPLY) && reply->sequence == c->sequence)
                return 0;
        }
    }
}

static int try_request(struct link_client *c, uint8_t message, const struct buf *wire,
                       struct link_frame *reply, struct error *err)
{
    int rc = ERR_TIMEOUT;

    c->noise = 0;
    c->framed = false;
    for (int i = 0; i < c->tries && rc == ERR_TIMEOUT; i++) {
        if (i > 0 && c->stop && *c->stop)
            break;
        rc = transport_write(c->transport, wire->data, wire->len, c->timeout_ms, err);
        if (rc == 0)
            rc = await_reply(c, message, reply, err);
    }
    if (rc == ERR_TIMEOUT && c->noise > 0 && !c->framed)
        return error_set(err, ERR_PROTOCOL, "%zu bytes came that are no answer", c->noise);
    if (rc == ERR_TIMEOUT)
        (void)error_set(err, rc, "no answer within %d ms to any of %d tries", c->timeout_ms,
                        c->tries);
    return rc;
}

int link_client_request(struct link_client *c, uint8_t message, const struct buf *request,
                        struct link_frame *reply, struct error *err)
{
    const char *name = link_message_name(message);
    struct buf wire;
    int rc;

    if (!buf_failed(request) && request->len + IMPRINT_FRAME_OVERHEAD > c->frame_max)
        return error_set(err, ERR_REFUSED, "%s: %s takes %zu bytes and the device takes %u",
                         c->transport->name, name, request->len + IMPRINT_FRAME_OVERHEAD,
                         (unsigned)c->frame_max);
    buf_init(&wire, LINK_FRAME_WIRE(IMPRINT_FRAME_MAX));
    c->sequence++;
    if (buf_failed(request))
        wire.failed = true;
    else
        link_frame_encode(&wire, message, c->sequence, request->data, request->len);
    rc = buf_check(&wire, name, err);
    if (rc == 0)
        rc = try_request(c, message, &wire, reply, err);
    if (rc)
        (void)error_prefix(err, "%s: %s", c->transport->name, name);
    buf_done(&wire);
    return rc;
}

/* Sends a request that was built in b, and frees b. */
static int request_done(struct link_client *c, uint8_t message, struct buf *b,
                        struct link_frame *reply, struct error *err)
{
    int rc = link_client_request(c, message, b, reply, err);

    buf_done(b);
    return rc;
}

/* Names the port and the message in an error of a decoder. */
static int decoded(const struct link_client *c, uint8_t message, int rc, struct error *err)
{
    if (rc)
        (void)error_prefix(err, "%s: %s", c->transport->name, link_message_name(message));
    return rc;
}

int link_client_hello(struct link_client *c, const uint8_t nonce[IMPRINT_NONCE_SIZE],
                      struct link_hello *hello, struct error *err)
{
    struct link_frame reply;
    struct buf b;
    int rc;

    buf_init(&b, IMPRINT_FRAME_MAX);
    link_hello_encode(&b, nonce);
    rc = request_done(c, IMPRINT_MSG_HELLO, &b, &reply, err);
    if (rc)
        return rc;
    rc = link_hello_decode(reply.payload, reply.len, hello, err);
    if (rc == 0)
        c->frame_max = hello->facts.frame_max;
    return decoded(c, IMPRINT_MSG_HELLO, rc, err);
}

/* What the device claims to hold must be possible. */
static int check_held(const struct link_begin *begin, const struct link_held *held,
                      struct error *err)
{
    if (held->count != begin->object_count)
        return error_set(err, ERR_PROTOCOL, "the device answers for %zu objects instead of %zu",
                         held->count, begin->object_count);
    for (size_t i = 0; i < held->count; i++)
        if (held->bytes[i] > begin->objects[i].length)
            return error_set(err, ERR_PROTOCOL, "the device holds more of an object than there is");
    return 0;
}

int link_client_begin(struct link_client *c, const struct link_begin *begin, struct link_held *held,
                      struct error *err)
{
    struct link_frame reply;
    struct link_held got;
    struct buf b;
    int rc;

    buf_init(&b, IMPRINT_FRAME_MAX);
    link_begin_encode(&b, begin);
    rc = request_done(c, IMPRINT_MSG_BEGIN, &b, &reply, err);
    if (rc)
        return rc;
    rc = link_begin_decode(reply.payload, reply.len, &got, err);
    if (rc == 0)
        rc = check_held(begin, &got, err);
    if (rc == 0)
        *held = got;
    return decoded(c, IMPRINT_MSG_BEGIN, rc, err);
}

int link_client_keygen(struct link_client *c, const struct link_keygen *keygen,
                       struct link_request *request, struct error *err)
{
    struct link_frame reply;
    struct buf b;
    int rc;

    buf_init(&b, IMPRINT_FRAME_MAX);
    link_keygen_encode(&b, keygen);
    rc = request_done(c, IMPRINT_MSG_KEYGEN, &b, &reply, err);
    if (rc)
        return rc;
    rc = link_keygen_decode(reply.payload, reply.len, request, err);
    return decoded(c, IMPRINT_MSG_KEYGEN, rc, err);
}

int link_client_put(struct link_client *c, const uint8_t transaction[IMPRINT_TX_SIZE],
                    uint16_t type, uint32_t offset, const uint8_t *bytes, size_t len,
                    uint32_t *held, struct error *err)
{
    struct link_frame reply;
    struct buf b;
    int rc;

    buf_init(&b, IMPRINT_FRAME_MAX);
    link_put_encode(&b, transaction, type, offset, bytes, len);
    rc = request_done(c, IMPRINT_MSG_PUT, &b, &reply, err);
    if (rc)
        return rc;
    rc = link_put_decode(reply.payload, reply.len, held, err);
    return decoded(c, IMPRINT_MSG_PUT, rc, err);
}

int link_client_put_object(struct link_client *c, const uint8_t transaction[IMPRINT_TX_SIZE],
                           uint16_t type, const uint8_t *bytes, uint32_t len, uint32_t from,
                           struct error *err)
{
    uint32_t chunk = (c->frame_max - PUT_OVERHEAD) / IMPRINT_PUT_ALIGN * IMPRINT_PUT_ALIGN;

    while (from < len) {
        uint32_t n = len - from < chunk ? len - from : chunk, held;
        int rc = link_client_put(c, transaction, type, from, bytes + from, n, &held, err);

        if (rc)
            return rc;
        if (c->progress)
            c->progress(c->progress_context, n);
        from += n;
        if (held < from || held > len)
            return error_set(err, ERR_PROTOCOL,
                             "%s: PUT: the device holds %u bytes of an object instead of %u",
                             c->transport->name, (unsigned)held, (unsigned)from);
    }
    return 0;
}

int link_client_commit(struct link_client *c, const uint8_t transaction[IMPRINT_TX_SIZE],
                       uint32_t *commit_count, struct error *err)
{
    struct link_frame reply;
    struct buf b;
    int rc;

    buf_init(&b, IMPRINT_FRAME_MAX);
    link_commit_encode(&b, transaction);
    rc = request_done(c, IMPRINT_MSG_COMMIT, &b, &reply, err);
    if (rc)
        return rc;
    rc = link_commit_decode(reply.payload, reply.len, commit_count, err);
    return decoded(c, IMPRINT_MSG_COMMIT, rc, err);
}

int link_client_prove(struct link_client *c, const uint8_t transaction[IMPRINT_TX_SIZE],
                      const uint8_t nonce[IMPRINT_NONCE_SIZE], struct link_proof *proof,
                      struct error *err)
{
    struct link_frame reply;
    struct buf b;
    int rc;

    buf_init(&b, IMPRINT_FRAME_MAX);
    link_prove_encode(&b, transaction, nonce);
    rc = request_done(c, IMPRINT_MSG_PROVE, &b, &reply, err);
    if (rc)
        return rc;
    rc = link_prove_decode(reply.payload, reply.len, proof, err);
    return decoded(c, IMPRINT_MSG_PROVE, rc, err);
}

/* What is read, and how much of it there may be. */
struct reading {
    uint32_t what;
    uint32_t most;
    const char *name;
};

/* One READ, appended to out. *total is the length of the whole object. */
static int read_part(struct link_client *c, const struct reading *reading, uint32_t offset,
                     struct buf *out, uint32_t *total, struct error *err)
{
    struct link_frame reply;
    struct link_part part;
    struct buf b;
    int rc;

    buf_init(&b, IMPRINT_FRAME_MAX);
    link_read_encode(&b, offset, reading->what);
    rc = request_done(c, IMPRINT_MSG_READ, &b, &reply, err);
    if (rc)
        return rc;
    rc = link_read_decode(reply.payload, reply.len, &part, err);
    if (rc == 0 && (part.total > reading->most || part.total <= offset || part.len == 0 ||
                    part.len > part.total - offset || (offset > 0 && part.total != *total)))
        rc = error_set(err, ERR_PROTOCOL, "%s have no sensible length", reading->name);
    if (rc == 0) {
        buf_put(out, part.bytes, part.len);
        rc = buf_check(out, reading->name, err);
        *total = part.total;
    }
    return decoded(c, IMPRINT_MSG_READ, rc, err);
}

static int read_whole(struct link_client *c, const struct reading *reading, struct buf *out,
                      struct error *err)
{
    size_t start = out->len;
    uint32_t total = 0;
    int rc;

    do {
        rc = read_part(c, reading, (uint32_t)(out->len - start), out, &total, err);
    } while (rc == 0 && out->len - start < total);
    if (rc)
        out->len = start;
    return rc;
}

int link_client_read(struct link_client *c, struct buf *out, struct error *err)
{
    static const struct reading certificates = {0, LINK_CERTIFICATES_MAX,
                                                "the device's certificates"};

    return read_whole(c, &certificates, out, err);
}

int link_client_read_tail(struct link_client *c, uint32_t total, uint8_t *out, size_t len,
                          struct error *err)
{
    struct link_frame reply;
    struct link_part part;
    struct buf b;
    int rc;

    buf_init(&b, IMPRINT_FRAME_MAX);
    link_read_encode(&b, total - (uint32_t)len, 0);
    rc = request_done(c, IMPRINT_MSG_READ, &b, &reply, err);
    if (rc)
        return rc;
    rc = link_read_decode(reply.payload, reply.len, &part, err);
    if (rc == 0 && (part.total != total || part.len != len))
        rc = error_next(err, NEXT_SET_ASIDE,
                        error_set(err, ERR_REFUSED, "the device holds another certificate"));
    if (rc == 0)
        memcpy(out, part.bytes, len);
    return decoded(c, IMPRINT_MSG_READ, rc, err);
}

int link_client_read_chain(struct link_client *c, struct buf *out, struct error *err)
{
    static const struct reading chain = {IMPRINT_READ_CHAIN, IMPRINT_CHAIN_MAX,
                                         "the certificates of the device's vendor"};

    return read_whole(c, &chain, out, err);
}

int link_client_lock(struct link_client *c, const uint8_t transaction[IMPRINT_TX_SIZE],
                     struct error *err)
{
    struct link_frame reply;
    struct buf b;
    int rc;

    buf_init(&b, IMPRINT_FRAME_MAX);
    link_lock_encode(&b, transaction);
    rc = request_done(c, IMPRINT_MSG_LOCK, &b, &reply, err);
    if (rc)
        return rc;
    return decoded(c, IMPRINT_MSG_LOCK, link_empty_decode(reply.payload, reply.len, err), err);
}

int link_client_abort(struct link_client *c, struct error *err)
{
    struct link_frame reply;
    struct buf b;
    int rc;

    buf_init(&b, IMPRINT_FRAME_MAX);
    link_abort_encode(&b);
    rc = request_done(c, IMPRINT_MSG_ABORT, &b, &reply, err);
    if (rc)
        return rc;
    return decoded(c, IMPRINT_MSG_ABORT, link_empty_decode(reply.payload, reply.len, err), err);
}

int link_client_decommission(struct link_client *c, const struct link_farewell *farewell,
                             struct error *err)
{
    struct link_frame reply;
    struct buf b;
    int rc;

    buf_init(&b, IMPRINT_FRAME_MAX);
    link_decommission_encode(&b, farewell);
    rc = request_done(c, IMPRINT_MSG_DECOMMISSION, &b, &reply, err);
    if (rc)
        return rc;
    return decoded(c, IMPRINT_MSG_DECOMMISSION, link_empty_decode(reply.payload, reply.len, err),
                   err);
}
