/*
 * The agent loses power at every write and erase of its flash, torn at every quarter, and then
 * again while it recovers (P9). Whatever happened, the device holds nothing, the old identity or
 * the new one; its transport key stays what it was; and the station's stored bytes finish the job.
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
static uint8_t made_point[65];

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
    if (!made)
        return true;
    if (!p->asked)
        rig_prepare_keygen(s, &p->seen); /* a station keeps it, as it keeps BEGIN */
    p->asked = true;
    if (rig_keygen(&rig, s, &err))
        return false;
    if (p->keygen) {
        ck_assert_mem_eq(s->device_point, made_point, 65);
        return true;
    }
    memcpy(made_point, s->device_point, 65);
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

static void replace_first(struct progress *p)
{
    provision_and_lock(p, &second);
}

static void abort_second(struct progress *p)
{
    if (!hello_and_prepare(p, &second) || !keygen(p, &second) || rig_put_all(&rig, &second, &err))
        return;
    p->aborted = true;
    if (link_client_abort(&rig.client, &err))
        return;
}

/* A bundle of every type, in place of an identity with nothing but a key. */
static void provision_everything(struct progress *p)
{
    provision_and_lock(p, &second);
}

static void hello_after_commit(struct progress *p)
{
    (void)hello_and_prepare(p, &second);
}

static const char *where;

/* What second's bundle has besides. */
static enum { NO_MORE, HSM, DERIVED } every_object;

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
        ASSERT_HERE(link_client_abort(&rig.client, &err) == 0);
        ASSERT_HERE(rig_hello(&rig, &now, &err) == 0);
        rig_prepare(s, &now, IMPRINT_SUITE_X963);
        p->seen = now;
        p->asked = p->keygen = false;
    }
    ASSERT_HERE(keygen(p, s));
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
    resume(&p, had_first ? &second : &first);
    rig_done(&rig);
    return fired;
}

/*
 * Cuts power at 1, 2, 3, ... until no cut happens any more; returns how many did. A write is torn at every
 * half, and with IMPRINT_SWEEP=all at every quarter.
 */
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
    where = text;
    while (fired) {
        cut++;
        for (unsigned torn = 0; torn <= 4; torn += sweep_is("all") ? 1 : 2) {
            for (unsigned again = 0; again <= last_again; again++) {
                snprintf(text, sizeof text, "cut %u, %u/4 done, then cut %u", cut, torn, again);
                fired = run_cut(body, had_first, cut, torn, again);
            }
        }
    }
    rig_station_done(&first);
    rig_station_done(&second);
    return cut - 1;
}

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
        ck_assert_uint_ge(sweep(provision_everything, true), derived ? 14 : 16);
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
        for (unsigned torn = 0; torn <= 4; torn++)
            for (unsigned again = 0; again <= 4; again++) {
                snprintf(text, sizeof text, "cut %u, %u/4 done, then cut %u", cut, torn, again);
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

CHECK_MAIN("agent_power", a_key_that_the_device_makes_survives_a_power_cut_anywhere,
           an_abort_of_a_key_that_the_device_makes_survives_a_power_cut_anywhere,
           the_first_provisioning_survives_a_power_cut_anywhere,
           replacing_an_identity_survives_a_power_cut_anywhere,
           a_bundle_of_every_type_survives_a_power_cut_anywhere,
           a_decommission_survives_a_power_cut_anywhere, an_abort_survives_a_power_cut_anywhere,
           a_new_transport_key_survives_a_power_cut_anywhere)
