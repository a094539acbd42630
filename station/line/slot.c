#include "station/line/slot.h"

#include "base/clock.h"
#include "pki/digest.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#define HELLO_TRY_MS  500  /* a device that is still booting is asked this often */
#define LOOK_MS       500  /* for the answer of a device that is only asked whether it is there */
#define REST_MS       200  /* after babble, and while paused */
#define PROGRESS_MS   200  /* from one word on progress to the next */
#define LOOK_EVERY_MS 1000 /* while somebody is to scan: whether the device is still there */
#define SILENT_MOST   2    /* questions without an answer: it was taken out */
#define KEYGEN_RSA_MS (2 * 60 * 1000)
#define ABORTS_MAX    2 /* of void transactions that one device may report */

void slot_emit(struct slot *s, enum event_kind state, const struct error *err)
{
    struct event e = {.kind = state,
                      .from = s->state,
                      .slot = s->label,
                      .serial = s->plan.serial,
                      .again = s->plan.again,
                      .waits = s->waits,
                      .why = err,
                      .plant = s->noted.plant,
                      .took_ms = clock_mono_ms() - s->started_ms};

    s->state = state;
    events_emit(&e);
}

static void on_progress(void *context, uint32_t bytes)
{
    struct slot *s = context;
    struct event e = {.kind = EVENT_PROGRESS, .slot = s->label, .serial = s->plan.serial};
    int64_t now = clock_mono_ms();

    s->done += bytes;
    if (now - s->progress_ms < PROGRESS_MS)
        return;
    s->progress_ms = now;
    e.done = s->done;
    e.total = s->total;
    events_emit(&e);
}

static int check_stop(const struct slot *s, struct error *err)
{
    if (*s->stop)
        return error_set(err, ERR_INTERRUPTED, "stopped before anything was delivered");
    return 0;
}

static void rest(void)
{
    struct timespec t = {.tv_nsec = REST_MS * 1000000L};

    (void)nanosleep(&t, NULL);
}

/* Nothing is asked; what comes is dropped. Errors: ERR_GONE, ERR_IO. */
static int idle(struct slot *s, struct error *err)
{
    uint8_t dropped[512];
    size_t got;
    int rc = transport_read(s->transport, dropped, sizeof dropped, &got, REST_MS, err);

    if (rc == 0)
        rest();
    return rc == ERR_TIMEOUT ? 0 : rc;
}

/* How often one question is repeated: the answer to any of them counts, so a device may take as long
 * as for every other request. */
static int hello_tries(const struct slot *s, int left_ms)
{
    int ms = left_ms < s->limits->request_ms ? left_ms : s->limits->request_ms;

    return ms <= HELLO_TRY_MS ? 1 : (ms + HELLO_TRY_MS - 1) / HELLO_TRY_MS;
}

/* One question. ERR_TIMEOUT also for babble that may be a device which boots. */
static int ask_hello(struct slot *s, const uint8_t nonce[IMPRINT_NONCE_SIZE],
                     struct link_hello *hello, int64_t *babble_ms, struct error *err)
{
    int64_t asked_ms = clock_mono_ms();
    int rc = link_client_hello(&s->client, nonce, hello, err);
    int64_t now_ms = clock_mono_ms();

    /* It may have come while it was asked again: then it took no longer than the last try. */
    if (rc == 0) {
        s->answer_ms = (int)(now_ms - asked_ms);
        s->started_ms = s->answer_ms > HELLO_TRY_MS ? now_ms - HELLO_TRY_MS : asked_ms;
    }
    if (rc != ERR_PROTOCOL || s->client.framed) {
        *babble_ms = 0;
        return rc;
    }
    if (*babble_ms == 0)
        *babble_ms = asked_ms;
    if (asked_ms - *babble_ms >= s->limits->hello_ms)
        return rc;
    rest(); /* or a flood of bytes would keep a processor busy */
    return ERR_TIMEOUT;
}

/* Asks until the device answers or the time is over: it may still be booting, or not be there. Where the
 * port is the device it is there. */
static int wait_for_device(struct slot *s, const uint8_t nonce[IMPRINT_NONCE_SIZE], int wait_ms,
                           struct link_hello *hello, struct error *err)
{
    int most_ms = wait_ms == SLOT_FOR_EVER && s->is_device ? s->limits->hello_ms : wait_ms;
    int64_t begun = clock_mono_ms(), babble_ms = 0;
    int rc;

    s->client.timeout_ms = wait_ms > 0 && wait_ms < HELLO_TRY_MS ? wait_ms : HELLO_TRY_MS;
    do {
        int64_t left_ms = wait_ms - (clock_mono_ms() - begun);

        s->client.tries = hello_tries(s, wait_ms == SLOT_FOR_EVER ? INT_MAX : (int)left_ms);
        s->client.stop = s->stop;
        if (*s->stop)
            return check_stop(s, err);
        if (*s->paused && wait_ms == SLOT_FOR_EVER) {
            rc = idle(s, err) ? err->code : ERR_TIMEOUT;
            begun = clock_mono_ms();
        } else {
            rc = ask_hello(s, nonce, hello, &babble_ms, err);
        }
        if (rc == 0 && *s->paused && wait_ms == SLOT_FOR_EVER)
            rc = ERR_TIMEOUT; /* nothing begins while it is paused: it is asked again */
    } while (rc == ERR_TIMEOUT && (most_ms == SLOT_FOR_EVER || clock_mono_ms() - begun < most_ms));
    s->client.timeout_ms = s->limits->request_ms;
    s->client.tries = s->limits->repeats + 1;
    s->client.stop = NULL; /* what is begun is finished */
    if (rc == ERR_TIMEOUT && *s->stop)
        return check_stop(s, err);
    if (rc == ERR_TIMEOUT && babble_ms)
        return error_recode(err, ERR_PROTOCOL);
    if (rc == ERR_TIMEOUT)
        (void)error_set(err, rc, "%s: HELLO: no answer within %d ms", s->transport->name, most_ms);
    return rc;
}

static void copy_key(const struct link_key *key, uint8_t *out, size_t len, uint8_t *has)
{
    *has = key->len == len;
    if (*has)
        memcpy(out, key->bytes, len);
}

static void copy_attestation(const struct link_hello *h, struct wire_hello *w)
{
    uint8_t has_key, has_sig;

    copy_key(&h->attest_key, w->attest_key, sizeof w->attest_key, &has_key);
    copy_key(&h->attest_sig, w->attest_sig, sizeof w->attest_sig, &has_sig);
    w->has_attestation = h->attested && has_key && has_sig &&
                         h->attest_key.alg == IMPRINT_ALG_P256 &&
                         h->attest_sig.alg == IMPRINT_ALG_ECDSA_SHA256;
}

/* What the device said, in the fixed fields that the vault takes. */
static void to_wire(const struct link_hello *h, struct wire_hello *w)
{
    const struct link_facts *f = &h->facts;

    memset(w, 0, sizeof *w);
    w->suite_count = (uint8_t)f->suite_count;
    memcpy(w->suites, f->suites, sizeof w->suites);
    w->modes = (uint16_t)f->modes;
    w->chip_len = (uint8_t)f->chip_id_len;
    memcpy(w->chip, f->chip_id, f->chip_id_len);
    strcpy(w->firmware, f->firmware);
    w->has_image_hash = f->has_image_hash;
    memcpy(w->image_hash, f->image_hash, sizeof w->image_hash);
    w->debug = f->debug;
    w->lifecycle = (uint8_t)f->lifecycle;
    w->pinned = f->pinned;
    w->max_frame = f->frame_max;
    if (f->dev_pub.alg == IMPRINT_ALG_P256)
        copy_key(&f->dev_pub, w->dev_pub, sizeof w->dev_pub, &w->has_dev_pub);
    w->tx_state = (uint8_t)h->state;
    memcpy(w->tx, h->transaction, sizeof w->tx);
    strcpy(w->serial, h->serial);
    copy_attestation(h, w);
}

/* The chain goes to the vault as it is; nobody here looks into it. */
static int pass_chain(struct slot *s, struct error *err)
{
    struct buf chain;
    int rc;

    buf_init(&chain, IMPRINT_CHAIN_MAX);
    rc = link_client_read_chain(&s->client, &chain, err);
    if (rc == 0)
        rc = desk_chain(&s->desk, &chain, err);
    buf_done(&chain);
    return rc;
}

/* One OPEN, HELLO round: what the vault wants done is in s->plan. */
static int ask_for_plan(struct slot *s, int wait_ms, struct error *err)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct link_hello hello;
    struct wire_hello said;
    bool wants_chain;
    int rc = desk_begin(&s->desk, s->label, nonce, &wants_chain, err);

    if (rc == 0)
        rc = wait_for_device(s, nonce, wait_ms, &hello, err);
    if (rc == 0)
        rc = check_stop(s, err);
    if (rc)
        return rc;
    s->answered = true;
    s->chip_len = hello.facts.chip_id_len;
    memcpy(s->chip, hello.facts.chip_id, s->chip_len);
    slot_emit(s, EVENT_HELLO, NULL);
    if (wants_chain && hello.chain_len)
        rc = pass_chain(s, err);
    if (rc)
        return rc;
    memcpy(s->chip, hello.facts.chip_id, sizeof s->chip);
    s->chip_len = hello.facts.chip_id_len;
    to_wire(&hello, &said);
    return desk_hello(&s->desk, &said, &s->plan, err);
}

/* What a look at the device changed. */
static void restore_limits(struct slot *s)
{
    s->client.timeout_ms = s->limits->request_ms;
    s->client.tries = s->limits->repeats + 1;
}

/* ---- scans, which the vault reads: here is only waited for them ---- */

enum awaited { SCAN_CAME, SCAN_DEVICE_LEFT, SCAN_FAILED };

static int no_scan(const struct slot *s, struct error *err)
{
    return error_set(err, ERR_REFUSED,
                     "no label was scanned for slot '%s' in time: run again and scan it", s->label);
}

/* Nothing is wrong with the device: what is on it is not lost. */
static int stop_scan(const struct slot *s, bool passed, struct error *err)
{
    if (!passed)
        return check_stop(s, err);
    return error_next(
        err, NEXT_SCAN,
        error_set(err, ERR_INTERRUPTED,
                  "'%s' is installed and its label was not scanned yet: run again and "
                  "scan its label",
                  s->plan.serial));
}

static enum awaited device_left(struct slot *s, enum slot_presence how, unsigned *silent,
                                struct error *err)
{
    if (how == SLOT_GONE) {
        (void)error_set(err, ERR_GONE, "%s: the device disappeared", s->transport->name);
        return SCAN_FAILED;
    }
    *silent = how == SLOT_SILENT ? *silent + 1 : 0;
    return how == SLOT_OTHER || *silent >= SILENT_MOST ? SCAN_DEVICE_LEFT : SCAN_CAME;
}

/* Until a scanner said something about this slot. passed: the device has its certificate; of one that has
 * not, nothing begins while it is paused. */
static enum awaited await_scan(struct slot *s, bool passed, struct error *err)
{
    int64_t began = clock_mono_ms(), look = began + LOOK_EVERY_MS;
    unsigned silent = 0;

    while ((!passed && *s->paused) || !atomic_exchange(&s->scanned, false)) {
        int64_t now = clock_mono_ms();
        enum awaited left = SCAN_CAME;

        if (*s->stop || (s->limits->scan_ms && now - began >= s->limits->scan_ms)) {
            (void)(*s->stop ? stop_scan(s, passed, err) : no_scan(s, err));
            return SCAN_FAILED;
        }
        if (now >= look) {
            left = device_left(s, slot_look(s, passed), &silent, err);
            look = clock_mono_ms() + LOOK_EVERY_MS;
        }
        if (left != SCAN_CAME)
            return left;
        rest();
    }
    return SCAN_CAME;
}

static void tell_scan(struct slot *s, bool label)
{
    struct event e = {.kind = EVENT_SCAN,
                      .from = s->state,
                      .slot = s->label,
                      .serial = label ? s->plan.serial : NULL,
                      .label = label};

    s->state = EVENT_SCAN;
    events_emit(&e);
}

/* A new device waits for its code; one that is taken out meanwhile was never there. */
static int find_scanned(struct slot *s, int wait_ms, struct error *err)
{
    int rc = 0;

    tell_scan(s, false);
    while (rc == 0 && s->plan.action == WIRE_SCAN) {
        switch (await_scan(s, false, err)) {
        case SCAN_CAME:
            restore_limits(s);
            rc = ask_for_plan(s, s->limits->hello_ms, err);
            break;
        case SCAN_DEVICE_LEFT:
            slot_emit(s, EVENT_WAIT, NULL);
            s->answered = false;
            restore_limits(s);
            rc = ask_for_plan(s, wait_ms, err);
            break;
        case SCAN_FAILED:
            s->answered = s->answered && err->code != ERR_GONE && err->code != ERR_INTERRUPTED;
            return err->code;
        }
        if (rc == 0 && s->plan.action == WIRE_SCAN)
            tell_scan(s, false);
    }
    return rc;
}

/* Until there is something to do: what is void on the device is aborted first. */
static int find_plan(struct slot *s, int wait_ms, struct error *err)
{
    int rc = ask_for_plan(s, wait_ms, err);

    if (rc == 0 && s->plan.action == WIRE_SCAN)
        rc = find_scanned(s, wait_ms, err);
    for (int i = 0; rc == 0 && s->plan.action == WIRE_ABORT; i++) {
        if (i == ABORTS_MAX)
            return error_next(
                err, NEXT_SET_ASIDE,
                error_set(err, ERR_PROTOCOL,
                          "the device keeps a transaction that was aborted: set it aside"));
        rc = link_client_abort(&s->client, err);
        if (rc == 0)
            rc = ask_for_plan(s, s->limits->hello_ms, err);
        if (rc == 0 && s->plan.action == WIRE_SCAN)
            rc = find_scanned(s, wait_ms, err);
    }
    return rc;
}

/* A microcontroller looks for the primes of RSA for a minute. It is asked again meanwhile, and its answer
 * to any of these requests counts. */
static int keygen_tries(const struct slot_limits *limits, uint16_t key_alg)
{
    bool rsa = key_alg == IMPRINT_ALG_RSA_2048 || key_alg == IMPRINT_ALG_RSA_3072;
    int ms = limits->keygen_ms == 0 && rsa ? KEYGEN_RSA_MS : limits->keygen_ms;
    int tries = (ms + limits->request_ms - 1) / limits->request_ms;

    return tries > limits->repeats ? tries : limits->repeats + 1;
}

/* Waits for the request. It is the only answer that may take minutes, and nothing was delivered yet: a stop
 * ends it. */
static int ask_for_request(struct slot *s, const struct link_keygen *k, struct link_request *made,
                           struct error *err)
{
    int rc;

    s->client.tries = keygen_tries(s->limits, k->key_alg);
    s->client.stop = s->stop;
    rc = link_client_keygen(&s->client, k, made, err);
    s->client.tries = s->limits->repeats + 1;
    s->client.stop = NULL;
    return rc == ERR_TIMEOUT && *s->stop ? check_stop(s, err) : rc;
}

/* The device makes its key; its request goes to the vault, which says what to deliver. */
static int make_key(struct slot *s, struct error *err)
{
    const struct wire_plan *p = &s->plan;
    struct link_keygen k = {.environment = p->environment,
                            .serial = p->serial,
                            .key_alg = p->key_alg,
                            .subject = p->subject,
                            .subject_len = p->subject_len,
                            .sig = link_sig_p256(p->station_sig),
                            .cert = p->station_cert,
                            .cert_len = p->station_cert_len};
    struct link_request made;
    struct wire_csr request;
    int rc;

    memcpy(k.order_hash, p->order_hash, sizeof k.order_hash);
    memcpy(k.transaction, p->tx, sizeof k.transaction);
    memcpy(k.station_nonce, p->station_nonce, sizeof k.station_nonce);
    rc = ask_for_request(s, &k, &made, err);
    if (rc)
        return rc;
    memset(&request, 0, sizeof request);
    request.csr_len = (uint16_t)made.csr_len;
    memcpy(request.csr, made.csr, made.csr_len);
    if (made.attested && made.attest_sig.alg == IMPRINT_ALG_ECDSA_SHA256)
        copy_key(&made.attest_sig, request.attest_sig, sizeof request.attest_sig,
                 &request.has_attestation);
    return desk_csr(&s->desk, &request, &s->plan, err);
}

/* A key that power was cut off from writing is in the way of the next one until ABORT. The device begins again
 * with another promise: nothing was issued for this one. */
static int clear_torn_key(struct slot *s, struct error *err)
{
    const struct error why = *err;
    int rc;

    *err = (struct error)ERROR_INIT;
    rc = link_client_abort(&s->client, err);
    if (rc == 0)
        rc = desk_result(&s->desk, why.code, why.text, true, NULL, err);
    return rc ? rc : find_plan(s, s->limits->hello_ms, err);
}

static int take_key(struct slot *s, struct error *err)
{
    int rc = make_key(s, err);

    if (rc != ERR_REFUSED || err->native != IMPRINT_ERR_STORE)
        return rc;
    rc = clear_torn_key(s, err);
    return rc == 0 && s->plan.action == WIRE_KEYGEN ? make_key(s, err) : rc;
}

static int begin(struct slot *s, struct link_held *held, struct error *err)
{
    const struct wire_plan *p = &s->plan;
    struct link_object objects[IMPRINT_OBJECTS_MAX];
    struct link_begin b = {.suite = p->suite,
                           .environment = p->environment,
                           .serial = p->serial,
                           .objects = objects,
                           .object_count = p->object_count,
                           .sig = link_sig_p256(p->station_sig),
                           .cert = p->station_cert,
                           .cert_len = p->station_cert_len};

    if (p->suite != IMPRINT_SUITE_NONE)
        b.station_pub = link_key_p256(p->station_pub);
    memcpy(b.order_hash, p->order_hash, sizeof b.order_hash);
    memcpy(b.transaction, p->tx, sizeof b.transaction);
    memcpy(b.station_nonce, p->station_nonce, sizeof b.station_nonce);
    for (size_t i = 0; i < p->object_count; i++) {
        objects[i] = (struct link_object){.type = p->objects[i].type,
                                          .format = p->objects[i].format,
                                          .length = p->objects[i].length};
        memcpy(objects[i].hash, p->objects[i].hash, sizeof objects[i].hash);
    }
    return link_client_begin(&s->client, &b, held, err);
}

/* BEGIN, every object from where the device has it, COMMIT. */
static int deliver(struct slot *s, struct error *err)
{
    const struct wire_plan *p = &s->plan;
    struct link_held held;
    uint32_t commit_count;
    int rc = begin(s, &held, err);

    s->done = s->total = 0;
    s->progress_ms = clock_mono_ms();
    for (size_t i = 0; rc == 0 && i < p->object_count; i++) {
        s->total += p->objects[i].length;
        s->done += held.bytes[i];
    }

    for (uint8_t i = 0; rc == 0 && i < p->object_count; i++) {
        const uint8_t *bytes;
        size_t len;

        rc = desk_object(&s->desk, i, &bytes, &len, err);
        if (rc == 0 && len != p->objects[i].length)
            rc = error_set(err, ERR_INTERNAL, "the vault handed out an object of another length");
        if (rc == 0)
            rc = link_client_put_object(&s->client, p->tx, p->objects[i].type, bytes, (uint32_t)len,
                                        held.bytes[i], err);
    }
    return rc ? rc : link_client_commit(&s->client, p->tx, &commit_count, err);
}

static int read_back(struct slot *s, uint8_t hash[IMPRINT_HASH_SIZE], struct error *err)
{
    struct buf certificates;
    int rc;

    buf_init(&certificates, LINK_CERTIFICATES_MAX);
    rc = link_client_read(&s->client, &certificates, err);
    if (rc == 0)
        sha256(certificates.data, certificates.len, hash);
    if (rc == 0 && certificates.len >= SLOT_TAIL) {
        s->tail_total = (uint32_t)certificates.len;
        memcpy(s->tail, certificates.data + certificates.len - SLOT_TAIL, SLOT_TAIL);
    }
    buf_done(&certificates);
    return rc;
}

/* Whether the device has a certificate, which then is read back and whose key signs. */
static bool has_certificates(const struct slot *s)
{
    for (size_t i = 0; i < s->plan.object_count; i++)
        if (s->plan.objects[i].type == IMPRINT_OBJ_CERTIFICATES)
            return true;
    return false;
}

/* A signature of the certificate's key, or where there is none a MAC. */
static int copy_proof(const struct link_key *from, bool signature, struct wire_proof *to,
                      struct error *err)
{
    if (!signature && (from->alg != IMPRINT_ALG_HMAC_SHA256 || from->len != IMPRINT_SYMMETRIC_SIZE))
        return error_set(err, ERR_PROTOCOL, "the device's proof is not an HMAC");
    if (from->len == 0 || from->len > sizeof to->sig)
        return error_set(err, ERR_PROTOCOL, "the device's proof is no signature");
    memcpy(to->sig, from->bytes, from->len);
    to->sig_len = (uint16_t)from->len;
    return 0;
}

/* One nonce, one proof, one reading back, one verdict. */
static int prove_once(struct slot *s, enum wire_verdict *verdict, struct error *err)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct wire_proof said;
    struct link_proof proof;
    int rc = desk_nonce(&s->desk, nonce, err);

    memset(&said, 0, sizeof said);
    if (rc == 0)
        rc = link_client_prove(&s->client, s->plan.tx, nonce, &proof, err);
    if (rc == 0 && has_certificates(s))
        rc = read_back(s, said.read_back, err);
    if (rc == 0)
        rc = copy_proof(&proof.sig, has_certificates(s), &said, err);
    if (rc)
        return rc;
    said.lifecycle = (uint8_t)proof.lifecycle;
    said.commit_count = proof.commit_count;
    return desk_proof(&s->desk, &said, verdict, err);
}

/* The label is compared by the vault, and then the device proves itself once more. */
static int prove_label(struct slot *s, enum wire_verdict *verdict, struct error *err)
{
    int rc = 0;

    tell_scan(s, true);
    while (rc == 0 && *verdict == WIRE_LABEL_FIRST) {
        switch (await_scan(s, true, err)) {
        case SCAN_CAME:
            restore_limits(s);
            rc = prove_once(s, verdict, err);
            break;
        case SCAN_DEVICE_LEFT:
            return error_set(err, ERR_GONE,
                             "the device was taken out before its label was scanned");
        case SCAN_FAILED:
            return err->code;
        }
    }
    return rc;
}

static int prove(struct slot *s, struct error *err)
{
    enum wire_verdict verdict = WIRE_PASS;
    int rc = prove_once(s, &verdict, err);

    if (rc == 0 && verdict == WIRE_LABEL_FIRST)
        rc = prove_label(s, &verdict, err);

    s->waits = rc == 0 && verdict == WIRE_LOCK_LATER;
    if (rc || verdict != WIRE_LOCK_FIRST)
        return rc;
    rc = link_client_lock(&s->client, s->plan.tx, err);
    if (rc == 0)
        rc = prove_once(s, &verdict, err);
    if (rc == 0 && verdict != WIRE_PASS)
        rc = error_set(err, ERR_PROOF, "the device says that it is locked and its proof does not");
    return rc;
}

/* DECOMMISSION, and a look whether the device did forget. */
static int say_farewell(struct slot *s, struct error *err)
{
    static const uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct link_farewell farewell = {.chip_id_len = s->chip_len};
    struct link_hello hello;
    const uint8_t *bytes;
    size_t len;
    int rc = desk_object(&s->desk, 0, &bytes, &len, err);

    if (rc == 0 && len != WIRE_FAREWELL_SIZE)
        rc = error_set(err, ERR_INTERNAL, "the vault handed out a farewell of another length");
    if (rc)
        return rc;
    memcpy(farewell.chip_id, s->chip, sizeof farewell.chip_id);
    memcpy(farewell.identity, bytes, sizeof farewell.identity);
    farewell.sig = link_sig_p256(bytes + sizeof farewell.identity);
    rc = link_client_decommission(&s->client, &farewell, err);
    if (rc == 0)
        rc = link_client_hello(&s->client, nonce, &hello, err);
    if (rc == 0 && hello.state != IMPRINT_TX_NONE)
        rc = error_next(
            err, NEXT_SET_ASIDE,
            error_set(err, ERR_PROTOCOL,
                      "the device says that it forgot its identity and still shows one: set it "
                      "aside"));
    return rc;
}

int slot_attempt(struct slot *s, int wait_ms, struct error *err)
{
    int rc;

    memset(&s->plan, 0, sizeof s->plan);
    s->answered = false;
    s->waits = false;
    s->tail_total = 0;
    s->chip_len = 0;
    s->started_ms = clock_mono_ms();
    link_client_init(&s->client, s->transport);
    s->client.progress = on_progress;
    s->client.progress_context = s;
    rc = find_plan(s, wait_ms, err);
    if (rc == 0 && s->plan.action == WIRE_FAREWELL)
        return say_farewell(s, err);
    if (rc == 0 && s->plan.action == WIRE_KEYGEN) {
        slot_emit(s, EVENT_KEYGEN, NULL);
        rc = take_key(s, err);
    }
    if (rc == 0 && s->plan.action == WIRE_DELIVER) {
        slot_emit(s, EVENT_DELIVER, NULL);
        rc = deliver(s, err);
    }
    if (rc == 0) {
        slot_emit(s, EVENT_PROVE, NULL);
        rc = prove(s, err);
    }
    return rc;
}

/* What a person does about a class of failure that its own text does not say. */
static const char *advice(int code)
{
    switch (code) {
    case ERR_TIMEOUT:
        return N_("; check power, cable and firmware, then run again");
    case ERR_GONE:
        return N_("; plug it in again and run again: it goes on where it was");
    case ERR_PROTOCOL:
        return N_("; check that this is the right device and firmware, then run again");
    case ERR_BUSY:
        return N_("; close the other program, then run again");
    default:
        return "";
    }
}

static void add_advice(const struct slot *s, int code, struct error *err)
{
    if (!s->desk.lost)
        error_append(err, advice(code));
}

int slot_report(struct slot *s, int rc, bool goes_on, struct error *err)
{
    struct error said = ERROR_INIT;
    int noted;

    if (rc)
        add_advice(s, rc, err);
    memset(&s->noted, 0, sizeof s->noted);
    noted = desk_result(&s->desk, rc, rc ? err->text : "", goes_on, &s->noted, &said);
    if (rc || noted == 0)
        return rc;
    if (noted != ERR_REFUSED)
        return error_next(err, NEXT_RESTART,
                          error_set(err, ERR_GONE, "the vault ended; what was proven is recorded"));
    *err = said;
    return noted;
}

static enum slot_presence look_at_certificate(struct slot *s)
{
    struct error unsaid = ERROR_INIT;
    uint8_t tail[SLOT_TAIL];

    switch (link_client_read_tail(&s->client, s->tail_total, tail, sizeof tail, &unsaid)) {
    case 0:
        return memcmp(tail, s->tail, sizeof tail) ? SLOT_OTHER : SLOT_SAME;
    case ERR_REFUSED:
        return SLOT_OTHER;
    case ERR_TIMEOUT:
        return SLOT_SILENT;
    case ERR_PROTOCOL:
        return SLOT_SAME;
    default:
        return SLOT_GONE;
    }
}

/* The nonce is nobody's: what a device signs over it attests nothing. */
static enum slot_presence look_at_chip(struct slot *s)
{
    static const uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct error unsaid = ERROR_INIT;
    struct link_hello hello;

    switch (link_client_hello(&s->client, nonce, &hello, &unsaid)) {
    case 0:
        return hello.facts.chip_id_len == s->chip_len &&
                       memcmp(hello.facts.chip_id, s->chip, s->chip_len) == 0
                   ? SLOT_SAME
                   : SLOT_OTHER;
    case ERR_REFUSED:
    case ERR_PROTOCOL:
        return SLOT_SAME;
    case ERR_TIMEOUT:
        return SLOT_SILENT;
    default:
        return SLOT_GONE;
    }
}

enum slot_presence slot_look(struct slot *s, bool passed)
{
    s->client.tries = 1;
    s->client.timeout_ms = s->answer_ms > LOOK_MS / 2 ? 2 * s->answer_ms : LOOK_MS;
    return passed && s->tail_total ? look_at_certificate(s) : look_at_chip(s);
}
