/* Whom a device believes: the station's certificate and its signature over X. */
#include "station/conform/bench.h"

#include <string.h>

/* BEGIN (KEYGEN where the device makes every key) by the station of the provider's pass. */
static int refuse_station(struct bench *b, struct error *err)
{
    uint32_t mode = bench_mode(b);
    int rc = bench_prepare(b, mode, bench_suite(b, mode), err);

    return mode == IMPRINT_MODE_DEVICE ? bench_expect(rc, STATUS(STATION), err)
           : rc                        ? rc
                                       : bench_begin_refused(b, STATUS(STATION), err);
}

static int stranger(struct bench *b, struct error *err)
{
    struct pass own = b->provider.pass;
    struct buf bytes;
    int rc;

    buf_init(&bytes, PASS_MAX);
    rc = pass_make(NULL, &bytes, err);
    if (rc == 0)
        rc = pass_take(bytes.data, bytes.len, &b->provider.pass, err);
    if (rc == 0)
        rc = refuse_station(b, err);
    if (b->provider.pass.key != own.key) {
        bundle_free(b->bundle); /* it points into the pass */
        b->bundle = NULL;
        pass_done(&b->provider.pass);
        b->provider.pass = own;
    }
    buf_wipe(&bytes);
    return rc;
}

static int begin(struct bench *b, struct error *err)
{
    struct link_held held;
    int rc = bench_prepare_any(b, err);

    if (rc == 0)
        rc = bench_begin(b, &held, err);
    if (rc == ERR_REFUSED && err->native == IMPRINT_ERR_STATION) {
        b->disbelief = true;
        return error_set(err, rc, "it answers STATION: is it pinned to another authority?");
    }
    if (rc == 0)
        rc = bench_holds_nothing(&held, "before any PUT", err);
    return rc ? rc : bench_state(b, IMPRINT_TX_OPEN, b->bundle->begin.transaction, err);
}

/* ---- what the signature covers ---- */

static void change_environment(struct bench *b)
{
    b->bundle->begin.environment = "elsewhere";
}

static void change_order(struct bench *b)
{
    b->bundle->begin.order_hash[31] ^= 1;
}

static void change_transaction(struct bench *b)
{
    b->bundle->begin.transaction[0] ^= 1;
}

static void change_nonce(struct bench *b)
{
    b->bundle->begin.station_nonce[0] ^= 1;
}

static void change_serial(struct bench *b)
{
    b->bundle->begin.serial = "CONFORM-OTHER";
}

static void change_hash(struct bench *b)
{
    bundle_row(b->bundle, IMPRINT_OBJ_TRUST_ANCHORS)->hash[0] ^= 1;
}

static void change_length(struct bench *b)
{
    bundle_row(b->bundle, IMPRINT_OBJ_TRUST_ANCHORS)->length++;
}

static void change_signature(struct bench *b)
{
    b->bundle->begin.sig.bytes[EC_SIG_SIZE - 1] ^= 1;
}

struct change {
    const char *what; /* follows "BEGIN with" */
    void (*change)(struct bench *b);
};

/* BEGIN with one thing changed after it was signed, for each; nothing may be opened. */
static int refuse_changes(struct bench *b, const struct change *changes, size_t count,
                          struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        /* Where KEYGEN came first its transaction is open already, and keeps its name. */
        if (bench_mode(b) == IMPRINT_MODE_DEVICE && changes[i].change == change_transaction)
            continue;
        rc = bench_reset(b, err);
        if (rc == 0)
            rc = bench_prepare_any(b, err);
        if (rc)
            return rc;
        changes[i].change(b);
        rc = bench_begin_refused(b, STATUS(STATION), err);
        if (rc)
            (void)error_prefix(err, "BEGIN with %s", changes[i].what);
    }
    return rc;
}

static int signature(struct bench *b, struct error *err)
{
    static const struct change changes[] = {{"another signature", change_signature}};

    return refuse_changes(b, changes, 1, err);
}

static int signed_fields(struct bench *b, struct error *err)
{
    static const struct change changes[] = {
        {"another order", change_order},      {"another transaction", change_transaction},
        {"another nonce", change_nonce},      {"another serial", change_serial},
        {"another object hash", change_hash}, {"another object length", change_length},
    };

    return refuse_changes(b, changes, sizeof changes / sizeof *changes, err);
}

/* ---- fields that the device takes from itself: X is signed with others ---- */

static void other_chip(struct link_hello *h)
{
    h->facts.chip_id[0] ^= 1;
}

static void other_key(struct link_hello *h)
{
    h->facts.dev_pub.bytes[1] ^= 1;
}

static void other_suites(struct link_hello *h)
{
    h->facts.suites[0] ^= 4; /* as if the offer had been changed on the way */
}

static void other_pin(struct link_hello *h)
{
    h->facts.pinned = !h->facts.pinned;
}

static int own_fields(struct bench *b, struct error *err)
{
    static const struct {
        const char *what;
        void (*change)(struct link_hello *h);
    } changes[] = {{"another chip id", other_chip},
                   {"another transport key", other_key},
                   {"another offer of suites", other_suites},
                   {"another word on the pinned authority", other_pin}};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof changes / sizeof *changes; i++) {
        struct link_hello lie;

        rc = bench_reset(b, err);
        if (rc == 0)
            rc = bench_prepare_any(b, err);
        lie = b->hello;
        changes[i].change(&lie);
        if (rc == 0)
            rc = bundle_sign(b->bundle, &b->provider, &lie, err);
        if (rc == 0)
            rc = bench_begin_refused(b, STATUS(STATION), err);
        if (rc)
            (void)error_prefix(err, "BEGIN whose X has %s", changes[i].what);
    }
    return rc;
}

/* Signed as it is, but the certificate is for another environment. */
static int environment(struct bench *b, struct error *err)
{
    int rc = bench_prepare_any(b, err);

    if (rc)
        return rc;
    change_environment(b);
    rc = bundle_sign(b->bundle, &b->provider, &b->hello, err);
    return rc ? rc : bench_begin_refused(b, STATUS(STATION), err);
}

/* BEGIN with a copy of the certificate in which one byte is another, or the last is missing. */
static int refuse_certificate(struct bench *b, size_t at, bool cut, struct error *err)
{
    uint8_t copy[IMPRINT_STATION_CERT_MAX];
    struct link_begin *begin = &b->bundle->begin;

    memcpy(copy, begin->cert, begin->cert_len);
    if (cut)
        begin->cert_len--;
    else
        copy[at] ^= 1;
    begin->cert = copy;
    return bench_begin_refused(b, cut ? STATUS(STATION) | STATUS(FORMAT) : STATUS(STATION), err);
}

static int certificate(struct bench *b, struct error *err)
{
    const size_t key = 10;
    size_t signature_at = b->provider.pass.cert.len - 1;
    int rc = bench_prepare_any(b, err);

    if (rc == 0)
        rc = refuse_certificate(b, key, false, err);
    if (rc == 0)
        rc =
            bundle_offer(b->bundle, &b->provider, &b->hello, b->nonce, b->bundle->begin.suite, err);
    if (rc == 0)
        rc = refuse_certificate(b, 0, true, err);
    /* An unpinned device has nothing to verify the authority's signature with. */
    if (rc || !b->hello.facts.pinned)
        return rc;
    rc = bundle_offer(b->bundle, &b->provider, &b->hello, b->nonce, b->bundle->begin.suite, err);
    return rc ? rc : refuse_certificate(b, signature_at, false, err);
}

#define BELIEVED (NEED_CHANGE | NEED_READY | NEED_BELIEF)

const struct conform_case cases_station[] = {
    {"stranger", "5", NEED_CHANGE | NEED_READY | NEED_PINNED,
     "A station whose certificate another authority signed is answered with STATION.", stranger},
    {"begin", "5", BELIEVED,
     "BEGIN of a certified station opens its transaction, and nothing is held yet.", begin},
    {"station-signature", "5", BELIEVED,
     "A signature over X that does not verify is answered with STATION.", signature},
    {"station-fields", "6", BELIEVED,
     "The station's signature covers order, transaction, nonce, serial and objects.",
     signed_fields},
    {"station-device", "6", BELIEVED,
     "The station's signature covers chip id, transport key and facts of the device itself.",
     own_fields},
    {"station-environment", "5", BELIEVED,
     "A certificate for another environment than BEGIN's is answered with STATION.", environment},
    {"station-certificate", "6", BELIEVED,
     "A station certificate that was changed is answered with STATION.", certificate},
    {NULL, NULL, 0, NULL, NULL}};
