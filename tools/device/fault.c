#include "fault.h"

#include "base/codec.h"
#include "base/file.h"
#include "link/cbor_write.h"
#include "link/message.h"

#include <errno.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Rewrites the payload of a reply of status OK. */
typedef void edit(struct fault *fault, const struct link_frame *reply, struct buf *payload);

struct fault_kind {
    const char *name;
    bool needs_argument;
    const char *help;
    enum fault_verdict verdict; /* on this request (0: on all) */
    uint8_t request;
    uint8_t reply; /* the reply that is edited (0: all) */
    edit *edit;    /* NULL: replies stay as they are */
};

/* ------ things remembered ------ */

/* Bytes of a fixed size kept in the store's folder: read if there, else written. */
static void remember(const struct fault *f, const char *name, void *bytes, size_t len)
{
    char path[PATH_MAX];
    struct buf b;

    if (file_join(path, sizeof path, f->dir, name, NULL))
        return;
    buf_init(&b, len);
    if (file_exists(path) && file_read(path, &b, NULL) == 0 && b.len == len)
        memcpy(bytes, b.data, len);
    else if (file_write(path, bytes, len, 0600, NULL))
        memset(bytes, 0, len);
    buf_done(&b);
}

/* ------ replies ------ */

static void put_status(struct buf *b, size_t members)
{
    link_cbor_head(b, LINK_CBOR_MAP, members + 1);
    link_cbor_uint(b, IMPRINT_KEY_STATUS, IMPRINT_OK);
}

static void put_hello(struct buf *b, const struct link_hello *h)
{
    bool named = h->state != IMPRINT_TX_NONE, committed = h->serial[0] != 0;

    put_status(b, h->attested ? 3 : 2);
    link_cbor_head(b, LINK_CBOR_UINT, IMPRINT_KEY_HELLO_FACTS);
    if (link_facts_encode(&h->facts, b, NULL))
        b->failed = true;
    link_cbor_head(b, LINK_CBOR_UINT, IMPRINT_KEY_HELLO_TRANSACTION);
    link_cbor_head(b, LINK_CBOR_MAP, 2 + (size_t)named + (size_t)committed);
    link_cbor_uint(b, IMPRINT_KEY_TX_STATE, h->state);
    if (named)
        link_cbor_bytes(b, IMPRINT_KEY_TX_ID, h->transaction, IMPRINT_TX_SIZE);
    if (committed)
        link_cbor_text(b, IMPRINT_KEY_TX_SERIAL, h->serial);
    link_cbor_uint(b, IMPRINT_KEY_TX_COMMIT_COUNT, h->commit_count);
    if (!h->attested)
        return;
    link_cbor_head(b, LINK_CBOR_UINT, IMPRINT_KEY_HELLO_ATTESTATION);
    link_cbor_head(b, LINK_CBOR_MAP, h->chain_len ? 5 : 4);
    link_cbor_uint(b, IMPRINT_KEY_ATTEST_KEY_ALG, h->attest_key.alg);
    link_cbor_bytes(b, IMPRINT_KEY_ATTEST_KEY, h->attest_key.bytes, h->attest_key.len);
    link_cbor_uint(b, IMPRINT_KEY_ATTEST_SIG_ALG, h->attest_sig.alg);
    link_cbor_bytes(b, IMPRINT_KEY_ATTEST_SIG, h->attest_sig.bytes, h->attest_sig.len);
    if (h->chain_len)
        link_cbor_uint(b, IMPRINT_KEY_ATTEST_CHAIN_LEN, h->chain_len);
}

static void put_proof(struct buf *b, const struct link_proof *p)
{
    put_status(b, 4);
    link_cbor_uint(b, IMPRINT_KEY_PROVE_SIG_ALG, p->sig.alg);
    link_cbor_bytes(b, IMPRINT_KEY_PROVE_SIG, p->sig.bytes, p->sig.len);
    link_cbor_uint(b, IMPRINT_KEY_PROVE_LIFECYCLE, p->lifecycle);
    link_cbor_uint(b, IMPRINT_KEY_PROVE_COMMIT_COUNT, p->commit_count);
}

/* ------ edits ------ */

static void edit_garbage(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    (void)f;
    (void)RAND_bytes(buf_grow(payload, reply->len + 1), (int)reply->len + 1);
}

static void edit_slow(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    long ms = strtol(f->argument, NULL, 10);
    struct timespec delay = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    buf_put(payload, reply->payload, reply->len);
    while (nanosleep(&delay, &delay) && errno == EINTR)
        continue;
}

/* The key is there when KEYGEN is repeated. */
static void edit_slow_key(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    edit_slow(f, reply, payload);
    f->argument[0] = 0;
}

static void edit_wrong_proof(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    struct link_proof p;

    (void)f;
    if (link_prove_decode(reply->payload, reply->len, &p, NULL))
        return;
    p.sig.bytes[p.sig.len - 1] ^= 1;
    put_proof(payload, &p);
}

static void edit_replay_proof(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    struct link_proof p;

    if (link_prove_decode(reply->payload, reply->len, &p, NULL))
        return;
    remember(f, "first-proof", p.sig.bytes, p.sig.len);
    put_proof(payload, &p);
}

static void edit_other_cert(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    struct link_part part;

    (void)f;
    if (link_read_decode(reply->payload, reply->len, &part, NULL))
        return;
    buf_put(payload, reply->payload, reply->len);
    payload->data[payload->len - 1] ^= 1;
}

/* Bytes of another device's certificates in the place of as many of its own, which may be a byte more. */
static void edit_cert_of(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    struct link_part part;
    struct buf other;

    if (link_read_decode(reply->payload, reply->len, &part, NULL))
        return;
    buf_put(payload, reply->payload, reply->len);
    buf_init(&other, IMPRINT_CHAIN_MAX);
    if (file_read(f->argument, &other, NULL) == 0 && f->read_at < other.len &&
        part.len <= payload->len) {
        size_t left = other.len - f->read_at, len = part.len < left ? part.len : left;

        memcpy(payload->data + payload->len - part.len, other.data + f->read_at, len);
    }
    f->read_at = f->read_at + part.len < part.total ? f->read_at + part.len : 0;
    buf_done(&other);
}

static void edit_other_serial(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    struct link_hello h;

    (void)f;
    if (link_hello_decode(reply->payload, reply->len, &h, NULL) || !h.serial[0])
        return;
    h.serial[strlen(h.serial) - 1] ^= 1;
    put_hello(payload, &h);
}

static void edit_clone_tx(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    struct link_hello h;

    if (link_hello_decode(reply->payload, reply->len, &h, NULL))
        return;
    h.state = IMPRINT_TX_COMMITTED;
    h.commit_count = 1;
    (void)!hex_decode(f->argument, h.transaction, IMPRINT_TX_SIZE);
    if (!h.serial[0])
        snprintf(h.serial, sizeof h.serial, "CLONE");
    put_hello(payload, &h);
}

static void edit_old_key(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    struct link_hello h;

    if (link_hello_decode(reply->payload, reply->len, &h, NULL))
        return;
    if (h.facts.dev_pub.alg == IMPRINT_ALG_P256)
        remember(f, "first-key", h.facts.dev_pub.bytes, h.facts.dev_pub.len);
    put_hello(payload, &h);
}

static void edit_downgrade(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    struct link_hello h;

    (void)f;
    if (link_hello_decode(reply->payload, reply->len, &h, NULL))
        return;
    h.facts.suite_count = 1;
    h.facts.suites[0] = IMPRINT_SUITE_ECB;
    put_hello(payload, &h);
}

static void edit_fake_commit(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    (void)f;
    (void)reply;
    put_status(payload, 1);
    link_cbor_uint(payload, IMPRINT_KEY_COMMIT_COUNT, 1);
}

static void edit_fake_lock(struct fault *f, const struct link_frame *reply, struct buf *payload)
{
    struct link_proof p;

    (void)f;
    if (reply->message == (IMPRINT_MSG_LOCK | IMPRINT_MSG_REPLY)) {
        put_status(payload, 0);
        return;
    }
    if (reply->message != (IMPRINT_MSG_PROVE | IMPRINT_MSG_REPLY) ||
        link_prove_decode(reply->payload, reply->len, &p, NULL))
        return;
    p.lifecycle = IMPRINT_LIFE_LOCKED;
    put_proof(payload, &p);
}

static const struct fault_kind kinds[] = {
    {"silent", false, "answers nothing", FAULT_DROP, 0, 0, NULL},
    {"garbage", false, "answers with random bytes", FAULT_PASS, 0, 0, edit_garbage},
    {"slow", true, "answers after so many milliseconds", FAULT_PASS, 0, 0, edit_slow},
    {"slow-key", true, "takes so many milliseconds to make its key", FAULT_PASS, 0,
     IMPRINT_MSG_KEYGEN, edit_slow_key},
    {"vanish", false, "is unplugged when COMMIT comes", FAULT_VANISH, IMPRINT_MSG_COMMIT, 0, NULL},
    {"vanish-after", false, "commits, and is unplugged before it answers", FAULT_VANISH_AFTER,
     IMPRINT_MSG_COMMIT, 0, NULL},
    {"wrong-proof", false, "answers PROVE with a signature that is changed", FAULT_PASS, 0,
     IMPRINT_MSG_PROVE, edit_wrong_proof},
    {"replay-proof", false, "answers every PROVE with its first signature", FAULT_PASS, 0,
     IMPRINT_MSG_PROVE, edit_replay_proof},
    {"other-cert", false, "reads back another certificate", FAULT_PASS, 0, IMPRINT_MSG_READ,
     edit_other_cert},
    {"cert-of", true, "reads back the certificates in this file", FAULT_PASS, 0, IMPRINT_MSG_READ,
     edit_cert_of},
    {"other-serial", false, "shows another serial once it has one", FAULT_PASS, 0,
     IMPRINT_MSG_HELLO, edit_other_serial},
    {"clone-tx", true, "claims to have committed this transaction (32 hex digits)", FAULT_PASS, 0,
     IMPRINT_MSG_HELLO, edit_clone_tx},
    {"old-key", false, "shows its first transport key for ever", FAULT_PASS, 0, IMPRINT_MSG_HELLO,
     edit_old_key},
    {"downgrade", false, "offers suite 1 alone", FAULT_PASS, 0, IMPRINT_MSG_HELLO, edit_downgrade},
    {"fake-commit", false, "answers COMMIT without committing", FAULT_DROP, IMPRINT_MSG_COMMIT,
     IMPRINT_MSG_COMMIT, edit_fake_commit},
    {"fake-lock", false, "answers LOCK without locking, and claims to be locked", FAULT_DROP,
     IMPRINT_MSG_LOCK, 0, edit_fake_lock},
    {"power-cut", true, "loses power in this write or erase of its flash", FAULT_PASS, 0, 0, NULL},
};

#define KINDS (sizeof kinds / sizeof *kinds)

void fault_print_kinds(FILE *out)
{
    for (size_t i = 0; i < KINDS; i++)
        fprintf(out, "    %s%-*s %s\n", kinds[i].name, (int)(18 - strlen(kinds[i].name)),
                kinds[i].needs_argument ? "=N" : "", kinds[i].help);
}

static bool is(const struct fault *f, const char *name)
{
    return f->kind && strcmp(f->kind->name, name) == 0;
}

static bool argument_fits(const struct fault *f)
{
    uint8_t transaction[IMPRINT_TX_SIZE];
    char *end;
    long n = strtol(f->argument, &end, 10);

    if (is(f, "clone-tx"))
        return hex_decode(f->argument, transaction, sizeof transaction) == 0;
    if (is(f, "cert-of"))
        return file_exists(f->argument);
    return !f->kind->needs_argument || (*f->argument && !*end && n > 0 && n <= 1000000);
}

int fault_parse(struct fault *f, const char *text, const char *dir, struct error *err)
{
    const char *equals = strchr(text, '=');
    size_t len = equals ? (size_t)(equals - text) : strlen(text);

    *f = (struct fault){.dir = dir};
    link_frame_reader_init(&f->requests);
    for (size_t i = 0; i < KINDS; i++)
        if (strlen(kinds[i].name) == len && strncmp(text, kinds[i].name, len) == 0)
            f->kind = &kinds[i];
    if (!f->kind)
        return error_set(err, ERR_USAGE, "there is no fault '%s': --help lists them", text);
    if (equals)
        snprintf(f->argument, sizeof f->argument, "%s", equals + 1);
    if ((equals != NULL) != f->kind->needs_argument || !argument_fits(f))
        return error_set(err, ERR_USAGE, "fault '%s' %s", text,
                         f->kind->needs_argument ? "needs an argument: --help says which"
                                                 : "takes no argument");
    return 0;
}

unsigned fault_power_cut(const struct fault *f)
{
    return is(f, "power-cut") ? (unsigned)strtoul(f->argument, NULL, 10) : 0;
}

/* Puts what the fault makes of a reply into out; leaves out alone where it makes nothing of it. */
static void rewrite(struct fault *f, const struct link_frame *reply, struct buf *out)
{
    struct buf payload;

    if (!f->kind->edit ||
        (f->kind->reply && reply->message != (f->kind->reply | IMPRINT_MSG_REPLY)))
        return;
    buf_init(&payload, IMPRINT_FRAME_MAX);
    f->kind->edit(f, reply, &payload);
    if (!buf_failed(&payload) && payload.len > 0) {
        buf_reset(out);
        if (is(f, "garbage"))
            buf_put(out, payload.data, payload.len);
        else
            link_frame_encode(out, reply->message, reply->sequence, payload.data, payload.len);
    }
    buf_done(&payload);
}

enum fault_verdict fault_request(struct fault *f, const uint8_t *bytes, size_t len,
                                 struct buf *reply)
{
    struct link_frame frame;
    bool seen = false;

    if (!f->kind || f->kind->verdict == FAULT_PASS)
        return FAULT_PASS;
    for (size_t i = 0; i < len; i++)
        seen = link_frame_feed(&f->requests, bytes[i], &frame);
    if (f->kind->request && (!seen || frame.message != f->kind->request))
        return FAULT_PASS;
    if (seen && f->kind->verdict == FAULT_DROP) {
        frame.message |= IMPRINT_MSG_REPLY;
        rewrite(f, &frame, reply);
    }
    return f->kind->verdict;
}

void fault_reply(struct fault *f, struct buf *reply)
{
    struct link_frame_reader reader;
    struct link_frame frame;
    bool whole = false;

    if (!f->kind)
        return;
    link_frame_reader_init(&reader);
    for (size_t i = 0; i < reply->len && !whole; i++)
        whole = link_frame_feed(&reader, reply->data[i], &frame);
    if (whole)
        rewrite(f, &frame, reply);
}
