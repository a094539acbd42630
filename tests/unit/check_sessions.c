/*
 * Sessions in any order: four devices in three slots, erased, copied, pulled out and put in elsewhere, with a
 * supervisor who voids and reworks between the passes. Who is refused may be replaced by another device: a
 * course in which all are set aside tests nothing. Each seed is one course of events, always the same.
 *
 * Whatever happens, nothing stops the vault, what it counts is what the tables say, and no serial, key or chip
 * id has two live identities; in the end rig_end judges ledger, records, evidence and manifest.
 */
#include "played_request.h"

#include "station/vault/rework.h"
#include "station/vault/scan.h"

enum { DEVICES = 4, SLOTS = 3, ROUNDS = 80, STEPS_MAX = 6, BORN_MAX = 60 };
enum stage { EMPTY, ASKED, PLANNED, TAKEN, OVER };

static const uint64_t seeds[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

struct slot {
    struct line line;
    struct device *device;
    enum stage stage;
};

struct play {
    struct rig rig;
    struct device devices[DEVICES];
    struct slot slots[SLOTS];
    struct scans labels;
    EVP_PKEY *enrolments[BORN_MAX]; /* of all that may be born; NULL: the order asks for none */
    uint8_t points[BORN_MAX][EC_POINT_SIZE];
    unsigned born;
    uint64_t seed;
};

/* Knuth's generator: no other source of chance decides anything. */
static unsigned pick(struct play *p, unsigned n)
{
    p->seed = p->seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)((p->seed >> 33) % n);
}

/* ---- what must always hold ---- */

/* The vault refuses, or answers; it does not stop. */
static void goes_on(const struct line *l)
{
    ck_assert_msg(l->fatal == 0, "%s", l->said.text);
}

static const char *const never[] = {
    "SELECT 1 FROM credentials WHERE state IN (0, 1, 2) GROUP BY product, serial",
    "SELECT 1 FROM credentials GROUP BY point",
    "SELECT 1 FROM claims WHERE state IN (0, 1) GROUP BY chip",
    "SELECT 1 FROM keygens WHERE state = 0 GROUP BY chip",
};

static void check_state(struct play *p)
{
    char query[200];

    for (int state = 0; state < CREDENTIAL_STATES; state++)
        ck_assert_int_eq(rig_state(&p->rig, (enum credential_state)state),
                         p->rig.v.counts.by_state[state]);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        snprintf(query, sizeof query, "SELECT count(*) FROM (%s HAVING count(*) > 1)", never[i]);
        ck_assert_msg(rig_int(&p->rig, query) == 0, "%s", never[i]);
    }
}

/* ---- devices ---- */

static void replace_key(EVP_PKEY **key, EVP_PKEY *with)
{
    if (with)
        EVP_PKEY_up_ref(with);
    EVP_PKEY_free(*key);
    *key = with;
}

/* Another device in the place of this one; none once as many were born as are enrolled. */
static void replace_device(struct play *p, struct device *d)
{
    if (p->born == BORN_MAX)
        return;
    if (p->born >= DEVICES)
        device_done(d);
    device_init_making(d, (uint8_t)(0x41 + p->born));
    replace_key(&d->enrolment, p->enrolments[p->born++]);
}

static void erase(struct device *d, bool keeps_key)
{
    d->tx_state = IMPRINT_TX_NONE;
    memset(d->tx, 0, sizeof d->tx);
    d->serial[0] = 0;
    d->lifecycle = IMPRINT_LIFE_FACTORY;
    device_new_transport(d);
    if (!keeps_key)
        replace_key(&d->made, NULL);
}

static void copy_bytes(struct buf *to, const struct buf *from)
{
    buf_reset(to);
    buf_put(to, from->data, from->len);
}

/* All that a device remembers; its chip id and its enrolment key are the hardware's, or copied too. */
static void copy_device(struct device *to, const struct device *from, bool chip, bool enrolment)
{
    replace_key(&to->transport, from->transport);
    replace_key(&to->made, from->made);
    replace_key(&to->key, from->key);
    memcpy(to->dev_pub, from->dev_pub, sizeof to->dev_pub);
    memcpy(to->tx, from->tx, sizeof to->tx);
    to->tx_state = from->tx_state;
    to->lifecycle = from->lifecycle;
    to->commit_count = from->commit_count;
    strcpy(to->serial, from->serial);
    copy_bytes(&to->x, &from->x);
    copy_bytes(&to->certificates, &from->certificates);
    to->leaf_len = from->leaf_len;
    if (chip)
        memcpy(to->chip, from->chip, sizeof to->chip);
    if (enrolment)
        replace_key(&to->enrolment, from->enrolment);
}

/* Every object; false when the vault, or the device, would not go on. */
static bool fetch(struct line *l, struct device *d, struct buf *blob, struct buf *object)
{
    for (uint8_t i = 0; i < l->plan.object_count; i++) {
        uint16_t type = l->plan.objects[i].type;
        struct buf *out = type == IMPRINT_OBJ_PRIVATE_KEY    ? blob
                          : type == IMPRINT_OBJ_CERTIFICATES ? &d->certificates
                                                             : object;
        int rc = line_object(l, i, out);

        goes_on(l);
        if (rc)
            return false;
    }
    return true;
}

/* As device_take, for a device that may be another one than it was when it said HELLO. */
static bool take(struct line *l, struct device *d)
{
    uint8_t mine[EC_POINT_SIZE], certified[EC_POINT_SIZE];
    struct error err = ERROR_INIT;
    struct buf blob, object;
    EVP_PKEY *key = NULL;
    bool good;

    device_transcript(d, &l->plan);
    if (!d->transport || !device_trusts(d, &l->plan))
        return false;
    buf_init(&blob, 2048);
    buf_init(&object, WIRE_OBJECT_MAX);
    memcpy(d->tx, l->plan.tx, sizeof d->tx);
    d->tx_state = IMPRINT_TX_OPEN;
    good = fetch(l, d, &blob, &object);
    if (good && l->plan.suite)
        key = device_unwrap(d, &l->plan, &blob);
    else if (good)
        replace_key(&key, d->made);
    good = key && ec_point(key, mine, &err) == 0;
    if (good) {
        device_leaf_point(d, certified);
        good = memcmp(mine, certified, sizeof mine) == 0;
    }
    if (good)
        replace_key(&d->key, key);
    EVP_PKEY_free(key);
    buf_done(&blob);
    buf_done(&object);
    return good;
}

/* ---- what may happen in a slot ---- */

static void put_out(struct play *p, struct slot *s)
{
    if (s->stage != EMPTY)
        (void)line_result(&s->line, s->stage == OVER ? 0 : 18, "pulled out");
    goes_on(&s->line);
    s->stage = EMPTY;
    (void)p;
}

/* Often one that is in a slot already: in two at once, or come back. */
static struct device *choose_device(struct play *p)
{
    struct device *other = p->slots[pick(p, SLOTS)].device;

    return other && pick(p, 2) ? other : &p->devices[pick(p, DEVICES)];
}

static void put_in(struct play *p, struct slot *s)
{
    struct line *l = &s->line;

    if (s->stage != EMPTY &&
        pick(p, 8)) /* else the line forgets to end its session: it is told so */
        put_out(p, s);
    s->device = choose_device(p);
    s->stage = OVER;
    if (meet(l, s->device) == 0) {
        s->stage = l->plan.action == WIRE_KEYGEN  ? ASKED
                   : l->plan.action == WIRE_PROVE ? TAKEN
                                                  : PLANNED;
        if (l->plan.action == WIRE_ABORT) {
            erase(s->device, pick(p, 2) != 0);
            s->stage = EMPTY;
        }
    } else if (pick(p, 2)) {
        replace_device(p, s->device);
    }
    goes_on(l);
}

static void go_on(struct play *p, struct slot *s)
{
    struct device *d = s->device;
    uint8_t verdict = 0;

    if (s->stage == ASKED) {
        if (pick(p, 4) == 0)
            replace_key(&d->made, NULL); /* a second key */
        s->stage = request(&s->line, d, NULL) ? OVER : PLANNED;
    } else if (s->stage == PLANNED) {
        s->stage = take(&s->line, d) ? TAKEN : OVER;
        if (s->stage == TAKEN && pick(p, 5))
            device_commit(d, &s->line);
    } else if (s->stage == TAKEN && d->key) {
        bool locks = prove(&s->line, d, &verdict) == 0 && verdict == WIRE_LOCK_FIRST;

        if (locks && pick(p, 3))
            d->lifecycle = IMPRINT_LIFE_LOCKED;
        s->stage = locks ? TAKEN : OVER;
    }
    goes_on(&s->line);
}

static void hang_up(struct play *p, struct slot *s)
{
    line_done(&s->line);
    line_init(&s->line, &p->rig);
    s->stage = EMPTY;
}

/* Not of the slot: a device is erased, or becomes a copy of another one. */
static void meddle(struct play *p, struct slot *s)
{
    unsigned a = pick(p, DEVICES), b = pick(p, DEVICES);
    bool chip = pick(p, 2), enrolment = pick(p, 2);

    (void)s;
    if (pick(p, 3))
        erase(&p->devices[a], chip);
    else if (a != b)
        copy_device(&p->devices[b], &p->devices[a], chip, enrolment);
}

static void (*const events[])(struct play *p, struct slot *s) = {
    put_in, put_in, put_in,  go_on,   go_on,   go_on, go_on,
    go_on,  go_on,  put_out, put_out, hang_up, meddle};

/* ---- between the passes ---- */

static bool choose_serial(struct play *p, char serial[SERIAL_TEXT_MAX + 1])
{
    int64_t count = rig_int(&p->rig, "SELECT count(*) FROM credentials");
    struct error err = ERROR_INIT;
    sqlite3_stmt *s;

    if (count == 0)
        return false;
    ASSERT_OK(sql_start(&p->rig.store->sql, &err, &s,
                        "SELECT serial FROM credentials ORDER BY id LIMIT 1 OFFSET ?", "i",
                        (int64_t)pick(p, (unsigned)count)),
              err);
    ck_assert_int_eq(sql_next(&p->rig.store->sql, s, &err), 1);
    ASSERT_OK(sql_text(s, 0, serial, SERIAL_TEXT_MAX + 1, &err), err);
    sql_end(s);
    return true;
}

/* Voids or reworks it, or is told why not; may have it scanned for what is put in next. */
static void judge_serial(struct play *p, const char *serial)
{
    const struct voiding what = {.name = serial, .reason = RECORD_SUPERSEDED, .lost = true};
    struct error err = ERROR_INIT;
    struct reworked reworked;
    struct voided voided;
    struct vault v;
    char line[SCAN_LINE_MAX];
    int rc;

    ASSERT_OK(vault_init(&v, &p->rig.config, NULL, p->rig.store, p->rig.hsm, &err), err);
    rc =
        pick(p, 2) ? rework_run(&v, &what, &reworked, &err) : voiding_run(&v, &what, &voided, &err);
    vault_done(&v);
    ck_assert_msg(rc == 0 || rc == ERR_REFUSED, "%s: %s", error_name(rc), err.text);
    rig_restart(&p->rig); /* which compares tables and ledger */
    snprintf(line, sizeof line, "S1 %s", serial);
    memset(&p->labels, 0, sizeof p->labels);
    if (pick(p, 6) == 0 && scans_add(&p->labels, &p->rig.v, line, &err) == 0)
        p->rig.v.scans = &p->labels;
}

static void supervise(struct play *p)
{
    char serial[SERIAL_TEXT_MAX + 1];

    if (!choose_serial(p, serial))
        return;
    for (size_t i = 0; i < SLOTS; i++)
        line_done(&p->slots[i].line);
    judge_serial(p, serial);
    for (size_t i = 0; i < SLOTS; i++) {
        line_init(&p->slots[i].line, &p->rig);
        p->slots[i].stage = EMPTY;
    }
}

/* ---- one course of events ---- */

static void begin(struct play *p, uint64_t seed)
{
    bool makes_keys = seed & 1, enrolled = seed & 2;
    struct rig_order order = {.device_keys = makes_keys,
                              .lock = seed % 3 == 0,
                              .good = BORN_MAX,
                              .max_issued = 2 * BORN_MAX,
                              .spoilage = BORN_MAX,
                              .rework = 4};
    struct error err = ERROR_INIT;

    memset(p, 0, sizeof *p);
    p->seed = seed;
    for (unsigned i = 0; enrolled && i < BORN_MAX; i++) {
        p->enrolments[i] = EVP_EC_gen("P-256");
        ASSERT_OK(ec_point(p->enrolments[i], p->points[i], &err), err);
    }
    for (unsigned i = 0; i < DEVICES; i++)
        replace_device(p, &p->devices[i]);
    order.keys = enrolled ? (const uint8_t(*)[EC_POINT_SIZE])p->points : NULL;
    order.key_count = enrolled ? BORN_MAX : 0;
    rig_start(&p->rig, &order, makes_keys ? 0 : BORN_MAX);
    for (size_t i = 0; i < SLOTS; i++)
        line_init(&p->slots[i].line, &p->rig);
}

/* Some events, one by one or in one transaction. */
static void pass_by(struct play *p)
{
    unsigned steps = 1 + pick(p, STEPS_MAX);
    bool grouped = pick(p, 2);
    struct error err = ERROR_INIT;

    if (grouped)
        ASSERT_OK(store_group_begin(p->rig.store, &err), err);
    while (steps-- > 0)
        events[pick(p, sizeof events / sizeof *events)](p, &p->slots[pick(p, SLOTS)]);
    if (grouped)
        ASSERT_OK(store_group_end(p->rig.store, &err), err);
}

START_TEST(no_course_of_events_stops_the_vault_or_doubles_an_identity)
{
    static struct play p;

    begin(&p, seeds[_i]);
    for (int round = 0; round < ROUNDS; round++) {
        pass_by(&p);
        check_state(&p);
        if (pick(&p, 9) == 0)
            supervise(&p);
    }
    ck_assert_int_gt(rig_claims(&p.rig), 2); /* something happened */
    for (size_t i = 0; i < SLOTS; i++)
        line_done(&p.slots[i].line);
    for (size_t i = 0; i < DEVICES; i++)
        device_done(&p.devices[i]);
    for (size_t i = 0; i < BORN_MAX; i++)
        EVP_PKEY_free(p.enrolments[i]);
    rig_restart(&p.rig);
    rig_end(&p.rig);
}
END_TEST

RIG_MAIN("sessions", EACH_ROW(no_course_of_events_stops_the_vault_or_doubles_an_identity, seeds))
