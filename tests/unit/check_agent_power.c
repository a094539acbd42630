/*
 * The agent loses power at every write and erase of its flash, torn at every quarter or after its first
 * bytes, and then again while it recovers (P9). Whatever happened, the device holds nothing, the old
 * identity or the new one, and no rest of a key that it gave up; its transport key stays what it was;
 * and the station's stored bytes finish the job. Built twice: with keys of P-256, and of every other type.
 */
#include "agent_rig.h"
#include "check_util.h"

#include <string.h>

static struct rig rig;
static struct rig_station first, second;
static struct error err;

/* What the station knows when power fails. */
struct progress {
    bool hello;     /* it saw the transport key, and prepared a bundle for it */
    bool asked;     /* KEYGEN was sent */
    bool keygen;    /* it saw the key that the device made */
    bool committed; /* the device answered COMMIT */
    bool locked;    /* the device answered LOCK */
    bool aborted;   /* ABORT was sent */
    struct link_hello seen;
};

/* Whether the device makes its key in the sweep at hand, with what KEYGEN got as its first answer. */
static bool made;
static uint8_t made_hash[32];

/* A scenario runs until it ends or the power fails. */
typedef void scenario(struct progress *p);

static bool hello_and_prepare(struct progress *p, struct rig_station *s)
{
    if (rig_hello(&rig, &p->seen, &err))
        return false;
    rig_prepare(s, &p->seen, IMPRINT_SUITE_X963);
    p->hello = true;
    return true;
}

/* KEYGEN, where the device makes its key: whatever failed since, it is the key that it first told. */
static bool keygen(struct progress *p, struct rig_station *s)
{
    uint8_t hash[32];

    if (!made)
        return true;
    if (!p->asked)
        rig_prepare_keygen(s, &p->seen); /* a station keeps it, as it keeps BEGIN */
    p->asked = true;
    if (rig_keygen(&rig, s, &err))
        return false;
    rig_key_hash(s, hash);
    if (p->keygen) {
        ck_assert_mem_eq(hash, made_hash, sizeof hash);
        return true;
    }
    memcpy(made_hash, hash, sizeof hash);
    p->keygen = true;
    rig_prepare_made(s, &p->seen);
    return true;
}

static void provision_and_lock(struct progress *p, struct rig_station *s)
{
    if (!hello_and_prepare(p, s) || !keygen(p, s) || rig_put_all(&rig, s, &err) ||
        rig_commit(&rig, s, &err))
        return;
    p->committed = true;
    if (rig_lock(&rig, s, &err) == 0)
        p->locked = true;
}

static void provision_first(struct progress *p)
{
    provision_and_lock(p, &first);
}

static void abort_second(struct progress *p)
{
    if (!hello_and_prepare(p, &second) || !keygen(p, &second) || rig_put_all(&rig, &second, &err))
        return;
    p->aborted = true;
    if (link_client_abort(&rig.client, &err))
        return;
}

/* In place of an identity with nothing but a key: another such, or with a bundle of every type. */
static void replace_first(struct progress *p)
{
    provision_and_lock(p, &second);
}

static const char *where;

/* What second's bundle has besides. */
static enum { NO_MORE, HSM, DERIVED } every_object;

/* The type of the devices' keys. */
static enum key_type type = KEY_P256;

#define ASSERT_HERE(condition) ck_assert_msg(condition, "%s: %s (%s)", where, #condition, err.text)

static void check_identity(const struct progress *p, bool had_first)
{
    struct imprint_agent_identity identity;
    bool any = imprint_agent_identity(&rig.agent, &identity);
    bool is_first = any && rig_holds(&rig, &first), is_second = any && rig_holds(&rig, &second);

    ASSERT_HERE(!any || is_first || is_second);
    ASSERT_HERE(any || !had_first);
    if (p->committed)
        ASSERT_HERE(had_first ? is_second : is_first);
    if (p->locked)
        ASSERT_HERE(identity.lifecycle == IMPRINT_LIFE_LOCKED);
    if (p->aborted)
        ASSERT_HERE(is_first);
}

/* A key that no record tells of is in flash no more, of a torn erase neither. */
static void check_rests(void)
{
    ASSERT_HERE(rig.agent.loaded);
    ASSERT_HERE(rig.agent.has_key || rig_flash_blank(&rig.flash, IMPRINT_AGENT_JOURNAL));
    if (rig.agent.committed >= 0 && rig.agent.open < 0)
        ASSERT_HERE(rig_flash_blank(&rig.flash, rig.agent.committed == 0 ? IMPRINT_AGENT_SLOT_B
                                                                         : IMPRINT_AGENT_SLOT_A));
}

/* What the device has is given up: it begins with another transport key. */
static void begin_anew(struct progress *p)
{
    ASSERT_HERE(link_client_abort(&rig.client, &err) == 0);
    ASSERT_HERE(rig_hello(&rig, &p->seen, &err) == 0);
    p->asked = p->keygen = false;
}

/* What a station does on resuming, with the bytes that it stored. */
static void resume(struct progress *p, struct rig_station *s)
{
    struct link_hello now;

    ASSERT_HERE(rig_hello(&rig, &now, &err) == 0);
    /* What is reported open can be finished: its transport key is still there. */
    if (now.state == IMPRINT_TX_OPEN)
        ASSERT_HERE(memcmp(now.facts.dev_pub.bytes, p->seen.facts.dev_pub.bytes, 65) == 0);
    if (now.state == IMPRINT_TX_COMMITTED && p->hello &&
        memcmp(now.transaction, s->begin.transaction, IMPRINT_TX_SIZE) == 0) {
        ASSERT_HERE(rig_prove(&rig, s, &err) == 0);
        ASSERT_HERE(rig_lock(&rig, s, &err) == 0);
        return;
    }
    ASSERT_HERE(!p->committed);
    ASSERT_HERE(now.facts.lifecycle == IMPRINT_LIFE_FACTORY);
    if (p->hello && !p->aborted)
        ASSERT_HERE(memcmp(now.facts.dev_pub.bytes, p->seen.facts.dev_pub.bytes, 65) == 0);
    if (!p->hello || p->aborted) {
        begin_anew(p);
        rig_prepare(s, &p->seen, IMPRINT_SUITE_X963);
    }
    if (!keygen(p, s)) {
        /* A larger key that was torn, before anything of it was told: ABORT makes room. */
        ASSERT_HERE(s->other.len > 0 && !p->keygen && err.native == IMPRINT_ERR_STORE);
        begin_anew(p);
        ASSERT_HERE(keygen(p, s));
    }
    ASSERT_HERE(rig_put_all(&rig, s, &err) == 0);
    ASSERT_HERE(rig_commit(&rig, s, &err) == 0);
    ASSERT_HERE(rig_prove(&rig, s, &err) == 0);
    ASSERT_HERE(rig_holds(&rig, s));
}

/* A device with or without the first identity. */
static void prepare_device(bool had_first)
{
    rig_init(&rig, first.authority_point);
    rig.client.tries = 1;
    if (had_first)
        ASSERT_OK(rig_provision(&rig, &first, IMPRINT_SUITE_ECB, &err), err);
    rig.flash.operations = 0;
}

/* One run: power fails at operation cut, and again at operation again of the recovery (0: not). */
static bool run_cut(scenario *body, bool had_first, unsigned cut, unsigned torn, unsigned again)
{
    struct progress p = {0};
    bool fired;

    prepare_device(had_first);
    rig.flash.cut_at = cut;
    rig.flash.torn = torn;
    body(&p);
    fired = rig.flash.dead;
    rig.flash.operations = 0;
    rig.flash.cut_at = again;
    rig_restart(&rig);
    if (rig.flash.dead)
        rig_restart(&rig);
    rig.flash.cut_at = 0;
    check_identity(&p, had_first);
    check_rests();
    resume(&p, had_first ? &second : &first);
    rig_done(&rig);
    return fired;
}

/* The next way to tear: every half, and with IMPRINT_SWEEP=all every quarter; then the front. */
static unsigned next_torn(unsigned torn)
{
    return torn < 4 ? torn + (sweep_is("all") ? 1 : 2) : torn + 1;
}

/* Cuts power at 1, 2, 3, ... until no cut happens any more; returns how many did. */
static unsigned sweep(scenario *body, bool had_first)
{
    const unsigned last_again = sweep_is("short") ? 1 : 2;
    char text[80];
    unsigned cut = 0;
    bool fired = true;

    rig_station_init(&first, "SN-0001");
    rig_station_next(&second, &first, "SN-0002");
    if (every_object != NO_MORE)
        rig_every_object(&second, every_object == DERIVED);
    if (type != KEY_P256) {
        rig_station_key(&first, type);
        rig_station_key(&second, type);
    }
    where = text;
    while (fired) {
        cut++;
        for (unsigned torn = 0; torn <= RIG_TORN_FRONT; torn = next_torn(torn)) {
            for (unsigned again = 0; again <= last_again; again++) {
                snprintf(text, sizeof text, "cut %u, torn %u, then cut %u", cut, torn, again);
                fired = run_cut(body, had_first, cut, torn, again);
            }
        }
    }
    rig_station_done(&first);
    rig_station_done(&second);
    return cut - 1;
}

#if IMPRINT_AGENT_WITH_OTHER_KEYS

/* RSA keys come from the HSM alone here: to make one anew for every cut takes minutes. */
static const enum key_type types[] = {KEY_P384, KEY_ED25519, KEY_RSA_2048};
static const enum key_type made_types[] = {KEY_P384, KEY_ED25519};

START_TEST(a_key_of_another_type_survives_a_power_cut_anywhere)
{
    type = types[_i];
    /* As below, with the key behind the objects: HELLO 2, BEGIN 2, PUT 3 at least, COMMIT 3, LOCK 1. */
    ck_assert_uint_ge(sweep(provision_first, false), 11);
    if (key_type_is_rsa(type))
        return; /* checking such a key at COMMIT takes long */
    every_object = HSM;
    ck_assert_uint_ge(sweep(replace_first, true), 17);
}
END_TEST

START_TEST(a_key_of_another_type_that_the_device_makes_survives_a_power_cut_anywhere)
{
    made = true;
    type = made_types[_i];
    /* HELLO 2, KEYGEN 2, BEGIN 2, PUT 2 at least, COMMIT 3, LOCK 1. */
    ck_assert_uint_ge(sweep(provision_first, false), 12);
    ck_assert_uint_ge(sweep(abort_second, true), 10);
}
END_TEST

#else

START_TEST(the_first_provisioning_survives_a_power_cut_anywhere)
{
    /* HELLO 2, BEGIN 2, PUT 3 at least, COMMIT 2, LOCK 1. */
    ck_assert_uint_ge(sweep(provision_first, false), 10);
}
END_TEST

START_TEST(replacing_an_identity_survives_a_power_cut_anywhere)
{
    ck_assert_uint_ge(sweep(replace_first, true), 11);
}
END_TEST

START_TEST(a_bundle_of_every_type_survives_a_power_cut_anywhere)
{
    /* HELLO 2, BEGIN 2, one PUT at least for each of 8 or 6 objects, COMMIT 3, LOCK 1. */
    for (int derived = 0; derived < 2; derived++) {
        every_object = derived ? DERIVED : HSM;
        ck_assert_uint_ge(sweep(replace_first, true), derived ? 14 : 16);
        every_object = NO_MORE;
    }
}
END_TEST

/* One run: the identity is there and can be proved, or nothing of it is. */
static bool run_farewell(unsigned cut, unsigned torn, unsigned again)
{
    struct link_farewell farewell = rig_farewell(&rig, &first);
    struct link_hello now;
    bool answered, fired;

    rig.flash.operations = 0;
    rig.flash.cut_at = cut;
    rig.flash.torn = torn;
    answered = link_client_decommission(&rig.client, &farewell, &err) == 0;
    fired = rig.flash.dead;
    rig.flash.operations = 0;
    rig.flash.cut_at = again;
    rig_restart(&rig);
    if (rig.flash.dead)
        rig_restart(&rig);
    rig.flash.cut_at = 0;
    check_rests();
    ASSERT_HERE(rig_hello(&rig, &now, &err) == 0);
    if (now.state == IMPRINT_TX_COMMITTED) {
        ASSERT_HERE(!answered);
        ASSERT_HERE(now.facts.lifecycle == IMPRINT_LIFE_LOCKED && rig_holds(&rig, &first));
        ASSERT_HERE(rig_prove(&rig, &first, &err) == 0);
        ASSERT_HERE(link_client_decommission(&rig.client, &farewell, &err) == 0);
        ASSERT_HERE(rig_hello(&rig, &now, &err) == 0);
    }
    ASSERT_HERE(now.state == IMPRINT_TX_NONE && now.facts.lifecycle == IMPRINT_LIFE_FACTORY);
    ASSERT_HERE(!rig_flash_holds(&rig.flash, first.anchors.data, 64));
    ASSERT_HERE(link_client_decommission(&rig.client, &farewell, &err) == 0); /* once more */
    ASSERT_HERE(rig_provision(&rig, &second, IMPRINT_SUITE_X963, &err) == 0);
    ASSERT_HERE(rig_holds(&rig, &second));
    return fired;
}

START_TEST(a_decommission_survives_a_power_cut_anywhere)
{
    char text[80];
    unsigned cut = 0;
    bool fired = true;

    rig_station_init(&first, "SN-0001");
    rig_every_object(&first, false);
    rig_station_next(&second, &first, "SN-0002");
    where = text;
    while (fired) {
        cut++;
        for (unsigned torn = 0; torn <= RIG_TORN_FRONT; torn++)
            for (unsigned again = 0; again <= 4; again++) {
                snprintf(text, sizeof text, "cut %u, torn %u, then cut %u", cut, torn, again);
                prepare_device(true);
                ASSERT_HERE(rig_lock(&rig, &first, &err) == 0);
                fired = run_farewell(cut, torn, again);
                rig_done(&rig);
            }
    }
    /* The journal twice before, both slots, the journal after. */
    ck_assert_uint_eq(cut - 1, 5);
    rig_station_done(&first);
    rig_station_done(&second);
}
END_TEST

START_TEST(an_abort_survives_a_power_cut_anywhere)
{
    ck_assert_uint_ge(sweep(abort_second, true), 9);
}
END_TEST

static void hello_after_commit(struct progress *p)
{
    (void)hello_and_prepare(p, &second);
}

START_TEST(a_new_transport_key_survives_a_power_cut_anywhere)
{
    ck_assert_uint_eq(sweep(hello_after_commit, true), 2);
}
END_TEST

START_TEST(a_key_that_the_device_makes_survives_a_power_cut_anywhere)
{
    made = true;
    /* HELLO 2, KEYGEN 1, BEGIN 2, PUT 2 at least, COMMIT 2, LOCK 1. */
    ck_assert_uint_ge(sweep(provision_first, false), 10);
    ck_assert_uint_ge(sweep(replace_first, true), 11);
}
END_TEST

START_TEST(an_abort_of_a_key_that_the_device_makes_survives_a_power_cut_anywhere)
{
    made = true;
    ck_assert_uint_ge(sweep(abort_second, true), 9);
}
END_TEST

START_TEST(a_read_that_fails_once_loses_nothing)
{
    struct link_hello now;
    bool fired = true;
    unsigned failed = 0;

    rig_station_init(&first, "SN-0001");
    rig_station_next(&second, &first, "SN-0002");
    where = "a failed read";
    for (unsigned at = 1; fired; at++) {
        struct progress p = {0};

        prepare_device(true);
        ASSERT_HERE(hello_and_prepare(&p, &second) && rig_put_all(&rig, &second, &err) == 0);
        rig.flash.reads = 0;
        rig.flash.fail_read = at;
        rig_restart(&rig);
        if (rig_hello(&rig, &now, &err)) {
            ASSERT_HERE(err.native == IMPRINT_ERR_STORE);
            ASSERT_HERE(rig_hello(&rig, &now, &err) == 0);
        }
        fired = rig.flash.reads >= at;
        rig.flash.fail_read = 0;
        failed += fired;
        ASSERT_HERE(now.state == IMPRINT_TX_OPEN && rig_holds(&rig, &first));
        ASSERT_HERE(memcmp(now.transaction, second.begin.transaction, IMPRINT_TX_SIZE) == 0);
        resume(&p, &second);
        rig_done(&rig);
    }
    /* The journal; of each slot record, commit record and lock. */
    ck_assert_uint_ge(failed, 6);
    rig_station_done(&first);
    rig_station_done(&second);
}
END_TEST

#endif

#if IMPRINT_AGENT_WITH_OTHER_KEYS
CHECK_ITEMS_MAIN("agent_power",
                 EACH_ROW(a_key_of_another_type_survives_a_power_cut_anywhere, types),
                 EACH_ROW(a_key_of_another_type_that_the_device_makes_survives_a_power_cut_anywhere,
                          made_types))
#else
CHECK_MAIN("agent_power", a_key_that_the_device_makes_survives_a_power_cut_anywhere,
           an_abort_of_a_key_that_the_device_makes_survives_a_power_cut_anywhere,
           the_first_provisioning_survives_a_power_cut_anywhere,
           replacing_an_identity_survives_a_power_cut_anywhere,
           a_bundle_of_every_type_survives_a_power_cut_anywhere,
           a_decommission_survives_a_power_cut_anywhere, an_abort_survives_a_power_cut_anywhere,
           a_new_transport_key_survives_a_power_cut_anywhere, a_read_that_fails_once_loses_nothing)
#endif
