/* A line that was taken over, under orders that authenticate devices: it gets no key in the clear. */
#include "played_device.h"
#include "vendor_fixture.h"

static const struct vendor_cert root_cert = VENDOR_CA("Vendor root"),
                                ca_cert = VENDOR_CA("Vendor CA"), chip_cert = {.name = "chip"};

/* ---- a vendor, and chips with keys of their own ---- */

enum { CHIPS = 4, STRANGER = CHIPS - 1 }; /* the last chip is another vendor's, and not enrolled */

struct world {
    struct rig rig;
    struct vendor_entity root, ca, other_root, other_ca, keys[CHIPS];
    uint8_t points[CHIPS][EC_POINT_SIZE];
    struct buf root_der, chains[CHIPS];
    struct device chips[CHIPS];
    struct rig_order order;
};

static void make_chip(struct world *w, size_t i)
{
    const struct vendor_entity *ca = i == STRANGER ? &w->other_ca : &w->ca;
    struct error err = ERROR_INIT;

    w->keys[i] = vendor_make(&chip_cert, ca);
    ASSERT_OK(ec_point(w->keys[i].key, w->points[i], &err), err);
    buf_init(&w->chains[i], WIRE_CHAIN_MAX);
    vendor_put(&w->chains[i], &w->keys[i]);
    vendor_put(&w->chains[i], ca);
    device_init(&w->chips[i], (uint8_t)(0xa1 + i));
    w->chips[i].enrolment = w->keys[i].key;
    EVP_PKEY_up_ref(w->keys[i].key);
}

static void world_start(struct world *w, bool attested, int64_t count)
{
    memset(w, 0, sizeof *w);
    w->root = vendor_make(&root_cert, NULL);
    w->ca = vendor_make(&ca_cert, &w->root);
    w->other_root = vendor_make(&root_cert, NULL); /* the same names, other keys */
    w->other_ca = vendor_make(&ca_cert, &w->other_root);
    for (size_t i = 0; i < CHIPS; i++)
        make_chip(w, i);
    buf_init(&w->root_der, JOB_ROOT_MAX);
    vendor_put(&w->root_der, &w->root);
    if (attested)
        w->order.vendor_root = &w->root_der;
    else
        w->order =
            (struct rig_order){.keys = (const uint8_t(*)[65])w->points, .key_count = STRANGER};
    rig_start(&w->rig, &w->order, count);
}

static void world_end(struct world *w)
{
    rig_end(&w->rig);
    for (size_t i = 0; i < CHIPS; i++) {
        device_done(&w->chips[i]);
        vendor_free(&w->keys[i]);
        buf_done(&w->chains[i]);
    }
    buf_done(&w->root_der);
    vendor_free(&w->root);
    vendor_free(&w->ca);
    vendor_free(&w->other_root);
    vendor_free(&w->other_ca);
}

/* OPEN, CHAIN and HELLO as an honest line would. */
static int meet_attested(struct world *w, struct line *l, size_t i)
{
    struct wire_hello h;
    int rc = line_open(l);

    if (rc == 0)
        rc = line_chain(l, w->chains[i].data, w->chains[i].len);
    h = device_hello(&w->chips[i], l->nonce);
    return rc ? rc : line_hello(l, &h);
}

START_TEST(an_attested_device_is_whitelisted_with_its_chain)
{
    static struct world w;
    struct record record;
    struct line l;

    world_start(&w, true, 2);
    line_init(&l, &w.rig);
    ASSERT_ANSWER(&l, meet_attested(&w, &l, 0));
    device_take(&w.chips[0], &l);
    device_commit(&w.chips[0], &l);
    pass(&l, &w.chips[0]);
    line_done(&l);
    rig_record(&w.rig, 0, &record);
    ck_assert_int_eq(record.auth, RECORD_AUTH_ATTESTED);
    record_done(&record);
    ck_assert_int_eq(rig_int(&w.rig, "SELECT length(attestation) FROM claims"),
                     2 + 2 + EC_POINT_SIZE + 2 + EC_SIG_SIZE + 2 + (int64_t)w.chains[0].len);
    world_end(&w);
}
END_TEST

/* The same key, under another CA. */
static void certify_again(X509 *chip, const struct vendor_entity *ca)
{
    X509_set_issuer_name(chip, X509_get_subject_name(ca->cert));
    X509_EXTENSION_free(
        X509_delete_ext(chip, X509_get_ext_by_NID(chip, NID_authority_key_identifier, -1)));
    vendor_extend(chip, ca->cert, NID_authority_key_identifier, "keyid");
    ck_assert_int_gt(X509_sign(chip, ca->key, EVP_sha256()), 0);
}

/* Gives chip 0 a chain of exactly len bytes. Signatures vary by a few bytes: it is made until it fits. */
static void make_long_chain(struct world *w, size_t len)
{
    struct vendor_cert long_ca = ca_cert;
    struct buf *chain = &w->chains[0];

    long_ca.padding = len / 2;
    for (int tries = 0; chain->len != len && tries < 500; tries++) {
        struct vendor_entity ca = vendor_make(&long_ca, &w->root);

        certify_again(w->keys[0].cert, &ca);
        buf_done(chain);
        buf_init(chain, 2 * WIRE_CHAIN_MAX);
        vendor_put(chain, &w->keys[0]);
        vendor_put(chain, &ca);
        long_ca.padding = long_ca.padding + len - chain->len;
        vendor_free(&ca);
    }
    ck_assert_uint_eq(chain->len, len);
}

START_TEST(the_longest_chain_is_whitelisted_and_sealed)
{
    static struct world w;
    struct line l;

    world_start(&w, true, 2);
    make_long_chain(&w, IMPRINT_CHAIN_MAX);
    line_init(&l, &w.rig);
    ASSERT_ANSWER(&l, meet_attested(&w, &l, 0));
    device_take(&w.chips[0], &l);
    device_commit(&w.chips[0], &l);
    pass(&l, &w.chips[0]);
    line_done(&l);
    ck_assert_int_eq(rig_int(&w.rig, "SELECT count(*) FROM records"), 1);
    world_end(&w); /* seals, and verifies the evidence */
}
END_TEST

START_TEST(a_chain_that_is_too_long_stops_one_device)
{
    static struct world w;
    struct line l, m;

    world_start(&w, true, 2);
    make_long_chain(&w, IMPRINT_CHAIN_MAX + 1);
    line_init(&l, &w.rig);
    line_init(&m, &w.rig);
    ASSERT_ANSWER(&l, line_open(&l));
    ASSERT_REFUSED(&l, line_chain(&l, w.chains[0].data, w.chains[0].len), ERR_PROTOCOL, "");
    ck_assert_int_eq(rig_claims(&w.rig), 0);
    ASSERT_ANSWER(&m, meet_attested(&w, &m, 1));
    line_done(&l);
    line_done(&m);
    world_end(&w);
}
END_TEST

/* ---- what a line in the middle may change ---- */

struct lie {
    struct buf *chain; /* as it will be sent; empty: not at all */
    struct wire_hello *hello;
    struct world *world;
};

static void no_chain(struct lie *lie)
{
    lie->chain->len = 0;
}

static void no_statement(struct lie *lie)
{
    lie->hello->has_attestation = 0;
}

static void other_vendor(struct lie *lie)
{
    buf_reset(lie->chain);
    buf_put(lie->chain, lie->world->chains[STRANGER].data, lie->world->chains[STRANGER].len);
}

static void chain_of_another_chip(struct lie *lie)
{
    buf_reset(lie->chain);
    buf_put(lie->chain, lie->world->chains[1].data, lie->world->chains[1].len);
}

/* As before, and the key named is the one of that chain: the signature is still the chip's own. */
static void another_chip_altogether(struct lie *lie)
{
    chain_of_another_chip(lie);
    memcpy(lie->hello->attest_key, lie->world->points[1], EC_POINT_SIZE);
}

static void statement_changed(struct lie *lie)
{
    lie->hello->attest_sig[3] ^= 1;
}

static void own_transport_key(struct lie *lie)
{
    memcpy(lie->hello->dev_pub, lie->world->points[STRANGER], EC_POINT_SIZE);
}

static void other_chip_id(struct lie *lie)
{
    lie->hello->chip[0] ^= 1;
}

static void byte_behind(struct lie *lie)
{
    buf_put_u8(lie->chain, 0);
}

static void noise(struct lie *lie)
{
    memset(lie->chain->data, 0x5a, lie->chain->len);
}

static const struct {
    void (*tell)(struct lie *lie);
    int code;
    const char *part;
} lies[] = {{no_chain, ERR_REFUSED, "no certificate of its vendor"},
            {no_statement, ERR_REFUSED, "no certificate of its vendor"},
            {other_vendor, ERR_SIGNATURE, "do not lead to a root"},
            {chain_of_another_chip, ERR_SIGNATURE, "another key"},
            {another_chip_altogether, ERR_SIGNATURE, "does not verify"},
            {statement_changed, ERR_SIGNATURE, "does not verify"},
            {own_transport_key, ERR_SIGNATURE, "does not verify"},
            {other_chip_id, ERR_SIGNATURE, "does not verify"},
            {byte_behind, ERR_PROTOCOL, "no chain of certificates"},
            {noise, ERR_PROTOCOL, "no chain of certificates"}};

START_TEST(an_attestation_that_is_changed_on_the_way_gets_nothing)
{
    static struct world w;
    struct wire_hello h;
    struct buf chain;
    struct lie lie = {&chain, &h, &w};
    struct line l;

    world_start(&w, true, 1);
    line_init(&l, &w.rig);
    buf_init(&chain, WIRE_CHAIN_MAX);
    buf_put(&chain, w.chains[0].data, w.chains[0].len);
    ASSERT_ANSWER(&l, line_open(&l));
    h = device_hello(&w.chips[0], l.nonce);
    lies[_i].tell(&lie);
    if (chain.len)
        ASSERT_ANSWER(&l, line_chain(&l, chain.data, chain.len));
    ASSERT_REFUSED(&l, line_hello(&l, &h), lies[_i].code, lies[_i].part);
    ck_assert_int_eq(rig_claims(&w.rig), 0);
    line_done(&l);
    buf_done(&chain);
    world_end(&w);
}
END_TEST

START_TEST(an_attested_key_is_one_device_whatever_its_chip_id)
{
    static struct world w;
    struct line l, m;

    world_start(&w, true, 3);
    line_init(&l, &w.rig);
    line_init(&m, &w.rig);
    ASSERT_ANSWER(&l, meet_attested(&w, &l, 0));
    memset(w.chips[0].chip, 0x77, sizeof w.chips[0].chip);
    device_new_transport(&w.chips[0]);
    ASSERT_REFUSED(&m, meet_attested(&w, &m, 0), ERR_DUPLICATE, "");
    ck_assert_int_eq(rig_claims(&w.rig), 1);
    line_done(&l);
    line_done(&m);
    world_end(&w);
}
END_TEST

/* ---- any sequence of messages ---- */

enum { LINES = 3, THIEVES = 6, CREDENTIALS = 40, MOVES = 6000, HELLOS = 16, SEEN = 4096 };

/* What such a line has: channels, keys of its own, and everything it ever saw. */
struct thief {
    struct world *w;
    struct line lines[LINES];
    EVP_PKEY *keys[THIEVES];
    uint8_t points[THIEVES][EC_POINT_SIZE];
    struct wire_hello heard[HELLOS]; /* what genuine devices said, to whatever nonce */
    size_t heard_count;
    struct buf last;        /* the last request of any channel, to be sent changed */
    uint8_t seen[SEEN][32]; /* replies that were searched already */
    size_t seen_count;
    EC_POINT *credentials[CREDENTIALS];
    int64_t delivered;
    uint64_t state;
};

static uint32_t choose(struct thief *t, uint32_t below)
{
    t->state ^= t->state << 13;
    t->state ^= t->state >> 7;
    t->state ^= t->state << 17;
    return (uint32_t)(t->state >> 20) % below;
}

/* The public keys of all credentials: a scalar of one of them must never be seen. */
static void load_credentials(struct thief *t, const EC_GROUP *group)
{
    struct error err = ERROR_INIT;
    sqlite3_stmt *s;
    size_t n = 0;

    ASSERT_OK(sql_start(&t->w->rig.store->sql, &err, &s, "SELECT point FROM credentials", ""), err);
    while (sql_next(&t->w->rig.store->sql, s, &err) == 1 && n < CREDENTIALS) {
        t->credentials[n] = EC_POINT_new(group);
        ck_assert_int_eq(EC_POINT_oct2point(group, t->credentials[n++], sqlite3_column_blob(s, 0),
                                            (size_t)sqlite3_column_bytes(s, 0), NULL),
                         1);
    }
    sql_end(s);
    ck_assert_uint_eq(n, CREDENTIALS);
}

/* Whether 32 bytes are the private key of a credential. */
static bool is_scalar(struct thief *t, const EC_GROUP *group, const uint8_t bytes[32])
{
    BIGNUM *d = BN_bin2bn(bytes, 32, NULL);
    EC_POINT *p = EC_POINT_new(group);
    bool found = false;

    if (!BN_is_zero(d) && EC_POINT_mul(group, p, d, NULL, NULL, NULL) == 1)
        for (size_t i = 0; i < CREDENTIALS && !found; i++)
            found = EC_POINT_cmp(group, p, t->credentials[i], NULL) == 0;
    EC_POINT_free(p);
    BN_free(d);
    return found;
}

/* Every 32 bytes of every reply that was not an error. */
static void search(struct thief *t, const EC_GROUP *group, const struct buf *reply)
{
    uint8_t hash[32];

    if (reply->len < 33 || reply->data[0] != 0)
        return;
    sha256(reply->data, reply->len, hash);
    for (size_t i = 0; i < t->seen_count; i++)
        if (memcmp(t->seen[i], hash, sizeof hash) == 0)
            return;
    ck_assert_uint_lt(t->seen_count, SEEN);
    memcpy(t->seen[t->seen_count++], hash, sizeof hash);
    if (reply->len < 60) /* a handle and a nonce: drawn, and nothing else */
        return;
    for (size_t i = 0; i + 32 <= reply->len; i++)
        ck_assert_msg(!is_scalar(t, group, reply->data + i), "a private key left the vault");
}

/* A HELLO: of a genuine chip to this nonce, an old one, or one of the thief's own making. */
static void make_hello(struct thief *t, struct line *l, size_t i, struct wire_hello *h)
{
    struct world *w = t->w;
    uint32_t kind = choose(t, 8);

    if (kind < 4 || t->heard_count == 0) {
        if (choose(t, 12) == 0)
            device_new_transport(&w->chips[i]); /* a reset */
        *h = device_hello(&w->chips[i], l->nonce);
        t->heard[t->heard_count++ % HELLOS] = *h;
    } else {
        *h = t->heard[choose(t, t->heard_count < HELLOS ? (uint32_t)t->heard_count : HELLOS)];
    }
    if (kind == 3 || kind == 6)
        memcpy(h->dev_pub, t->points[choose(t, THIEVES)], sizeof h->dev_pub);
    if (kind == 7)
        h->chip[choose(t, RIG_CHIP_SIZE)] ^= (uint8_t)choose(t, 4);
    if (choose(t, 16) == 0)
        h->tx_state = (uint8_t)choose(t, 3);
    if (choose(t, 16) == 0)
        h->has_attestation = (uint8_t)choose(t, 2);
    if (choose(t, 16) == 0)
        memcpy(h->attest_key, w->points[choose(t, CHIPS)], sizeof h->attest_key);
}

static void put_request(struct thief *t, struct line *l, enum wire_op op)
{
    struct buf *m = &l->request;
    /* A channel has its chip, mostly: otherwise chain and HELLO would hardly ever fit. */
    size_t chip = choose(t, 4) ? (size_t)(l - t->lines) % STRANGER : choose(t, CHIPS);
    const struct buf *chain = &t->w->chains[chip];
    const uint8_t *handle = t->lines[choose(t, 6) ? l - t->lines : choose(t, LINES)].handle;
    struct wire_proof proof = {.lifecycle = IMPRINT_LIFE_FACTORY, .commit_count = 1};
    struct wire_result result = {.status = (uint8_t)choose(t, 2), .text = "x"};
    struct wire_open open = {"S1"};
    struct wire_csr csr = {.has_attestation = (uint8_t)choose(t, 2)};
    struct wire_hello h;

    switch (op) {
    case WIRE_OPEN:
        wire_put_open(m, &open);
        break;
    case WIRE_CHAIN:
        wire_put_chain(m, handle, chain->data, chain->len - choose(t, 8) / 7);
        break;
    case WIRE_HELLO:
        make_hello(t, l, chip, &h);
        memcpy(h.handle, handle, sizeof h.handle);
        wire_put_hello(m, &h);
        break;
    case WIRE_OBJECT:
        wire_put_object(m, handle, (uint8_t)choose(t, 4));
        break;
    case WIRE_NONCE:
        wire_put_nonce(m, handle);
        break;
    case WIRE_PROOF:
        memcpy(proof.handle, handle, sizeof proof.handle);
        memset(proof.sig, (int)choose(t, 256), sizeof proof.sig);
        wire_put_proof(m, &proof);
        break;
    case WIRE_CSR:
        csr.csr_len = (uint16_t)(1 + choose(t, IMPRINT_CSR_MAX));
        memcpy(csr.handle, handle, sizeof csr.handle);
        wire_put_csr(m, &csr);
        break;
    case WIRE_RESULT:
        memcpy(result.handle, handle, sizeof result.handle);
        wire_put_result(m, &result);
        break;
    case WIRE_COUNTS:
        wire_put_ask_counts(m);
        break;
    case WIRE_SCANS:
        wire_put_ask_scans(m);
        break;
    case WIRE_ACK:
        wire_put_ack(m, "S1");
        break;
    }
}

/* What fits the channel's state most of the time, anything otherwise. */
static enum wire_op next_op(struct thief *t, const struct line *l)
{
    static const enum wire_op fits[][3] = {
        [SESSION_IDLE] = {WIRE_OPEN, WIRE_OPEN, WIRE_OPEN},
        [SESSION_OPENED] = {WIRE_CHAIN, WIRE_HELLO, WIRE_HELLO},
        [SESSION_ASKED] = {WIRE_CSR, WIRE_CSR, WIRE_RESULT},
        [SESSION_PLANNED] = {WIRE_OBJECT, WIRE_NONCE, WIRE_RESULT},
        [SESSION_NONCED] = {WIRE_OBJECT, WIRE_PROOF, WIRE_NONCE},
        [SESSION_ENDING] = {WIRE_RESULT, WIRE_RESULT, WIRE_OPEN}};

    return choose(t, 4) ? fits[l->session.state][choose(t, 3)]
                        : (enum wire_op)(WIRE_OPEN + choose(t, WIRE_CSR));
}

/* Bytes of a request as it was, changed somewhere, cut or longer. */
static void damage(struct thief *t, struct buf *m)
{
    uint32_t kind = choose(t, 4);

    if (kind == 0 && t->last.len) {
        buf_reset(m);
        buf_put(m, t->last.data, t->last.len);
    }
    if (kind == 1)
        m->len = choose(t, (uint32_t)m->len);
    else if (kind == 2)
        buf_put_u8(m, (uint8_t)choose(t, 256));
    else if (m->len)
        m->data[choose(t, (uint32_t)m->len)] ^= (uint8_t)(1u << choose(t, 8));
}

/* A wrapped key: for the transport key of a genuine device, which no key of the thief's opens. */
static void check_blob(struct thief *t, struct line *l)
{
    struct device d = t->w->chips[0];
    struct buf blob;

    buf_init(&blob, WIRE_OBJECT_MAX);
    buf_put(&blob, l->reply.data + 1, l->reply.len - 1);
    buf_init(&d.x, 2048);
    buf_put(&d.x, l->session.claim.x.data, l->session.claim.x.len);
    for (size_t i = 0; i < THIEVES; i++) {
        EVP_PKEY *key;

        d.transport = t->keys[i];
        key = device_unwrap(&d, &l->plan, &blob);
        ck_assert_ptr_null(key);
    }
    buf_done(&d.x);
    buf_done(&blob);
    t->delivered++;
}

static void move(struct thief *t, const EC_GROUP *group)
{
    struct line *l = &t->lines[choose(t, LINES)];
    enum session_state before = l->session.state;
    enum wire_op op = next_op(t, l);
    bool object_zero;
    struct reader r;

    buf_reset(&l->request);
    put_request(t, l, op);
    buf_reset(&t->last);
    buf_put(&t->last, l->request.data, l->request.len);
    if (choose(t, 6) == 0)
        damage(t, &l->request);
    op = l->request.len ? (enum wire_op)l->request.data[0] : op;
    object_zero = op == WIRE_OBJECT && l->request.len > 17 && l->request.data[17] == 0;
    if (line_ask(l, &r))
        op = 0;
    ck_assert_int_eq(l->fatal, 0);
    search(t, group, &l->reply);
    if (op == WIRE_OPEN && before == SESSION_IDLE) {
        memcpy(l->handle, l->reply.data + 1, sizeof l->handle);
        memcpy(l->nonce, l->reply.data + 1 + sizeof l->handle, sizeof l->nonce);
    } else if (op == WIRE_HELLO) {
        ck_assert_int_eq(wire_get_plan(&r, &l->plan), 0);
    } else if (op == WIRE_OBJECT && object_zero) {
        check_blob(t, l);
    }
    ck_assert(op != WIRE_PROOF); /* nobody has a key to prove with */
}

/* Every claim is for a transport key that a genuine, authenticated chip signed for. */
static void check_claims(struct thief *t)
{
    struct error err = ERROR_INIT;
    sqlite3_stmt *s;

    ASSERT_OK(
        sql_start(&t->w->rig.store->sql, &err, &s, "SELECT dev_pub, attestation FROM claims", ""),
        err);
    while (sql_next(&t->w->rig.store->sql, s, &err) == 1) {
        const uint8_t *attestation = sqlite3_column_blob(s, 1);
        size_t genuine = 0;

        for (size_t i = 0; i < THIEVES; i++)
            ck_assert_mem_ne(sqlite3_column_blob(s, 0), t->points[i], EC_POINT_SIZE);
        for (size_t i = 0; i < STRANGER; i++)
            genuine += memcmp(attestation + 4, t->w->points[i], EC_POINT_SIZE) == 0;
        ck_assert_uint_eq(genuine, 1);
    }
    sql_end(s);
}

static const struct {
    bool attested;
    uint64_t seed;
} runs[] = {{true, 1}, {true, 2}, {false, 1}, {false, 2}};

START_TEST(no_sequence_of_messages_yields_a_key_to_a_line_under_an_order_that_authenticates)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    struct error err = ERROR_INIT;
    static struct world w;
    static struct thief t;

    world_start(&w, runs[_i].attested, CREDENTIALS);
    t = (struct thief){.w = &w, .state = 0x9e3779b97f4a7c15u * runs[_i].seed};
    buf_init(&t.last, WIRE_MAX);
    load_credentials(&t, group);
    for (size_t i = 0; i < LINES; i++)
        line_init(&t.lines[i], &w.rig);
    for (size_t i = 0; i < THIEVES; i++) {
        t.keys[i] = EVP_EC_gen("P-256");
        ASSERT_OK(ec_point(t.keys[i], t.points[i], &err), err);
    }
    for (size_t n = 0; n < MOVES; n++)
        move(&t, group);
    check_claims(&t);
    ck_assert_int_gt(t.delivered, 2); /* genuine devices were served, and their blobs seen */
    ck_assert_int_gt(rig_claims(&w.rig), 1);
    ck_assert_int_eq(rig_records(&w.rig) - rig_state(&w.rig, CREDENTIAL_BURNED), 0);
    ck_assert_int_eq(rig_state(&w.rig, CREDENTIAL_PROVEN), 0);
    ck_assert_int_eq(rig_claims(&w.rig) + rig_state(&w.rig, CREDENTIAL_AVAILABLE), CREDENTIALS);
    for (size_t i = 0; i < LINES; i++)
        line_done(&t.lines[i]);
    for (size_t i = 0; i < THIEVES; i++)
        EVP_PKEY_free(t.keys[i]);
    for (size_t i = 0; i < CREDENTIALS; i++)
        EC_POINT_free(t.credentials[i]);
    buf_done(&t.last);
    world_end(&w);
    EC_GROUP_free(group);
}
END_TEST

RIG_MAIN("captured", ONCE(an_attested_device_is_whitelisted_with_its_chain),
         ONCE(the_longest_chain_is_whitelisted_and_sealed),
         ONCE(a_chain_that_is_too_long_stops_one_device),
         EACH_ROW(an_attestation_that_is_changed_on_the_way_gets_nothing, lies),
         ONCE(an_attested_key_is_one_device_whatever_its_chip_id),
         EACH_ROW(no_sequence_of_messages_yields_a_key_to_a_line_under_an_order_that_authenticates,
                  runs))
