/*
 * What a bundle may hold besides key and certificates: firmware key, symmetric key, signed
 * configuration, and the key with which the owner takes an identity away again.
 */
#include "agent_fixture.h"

#include <openssl/ec.h>
#include <string.h>

/* A device that said hello, and a bundle of every type for it. */
static void prepared_everything(bool derived)
{
    begin_test();
    rig_every_object(&station, derived);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
}

static void put_and_commit(int status)
{
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    if (status == IMPRINT_OK)
        ASSERT_OK(rig_commit(&rig, &station, &err), err);
    else
        ASSERT_STATUS(rig_commit(&rig, &station, &err), status);
}

START_TEST(every_type_of_object_reaches_the_device)
{
    for (int derived = 0; derived < 2; derived++) {
        for (uint16_t suite = IMPRINT_SUITE_ECB; suite <= IMPRINT_SUITE_X963; suite++) {
            begin_test();
            rig_every_object(&station, derived);
            ASSERT_OK(rig_provision(&rig, &station, suite, &err), err);
            ck_assert_uint_eq(station.begin.object_count, derived ? 6 : 8);
            ck_assert(rig_holds(&rig, &station));
            rig_restart(&rig);
            ck_assert(rig_holds(&rig, &station));
            ASSERT_OK(rig_prove(&rig, &station, &err), err);
            /* In flash the symmetric key is once: in the record that only the firmware reads. */
            ck_assert(!rig_flash_holds(&rig.flash, station.plain.data, station.plain.len));
            end_test();
        }
    }
}
END_TEST

START_TEST(a_derived_identity_proves_itself_with_its_key_and_with_no_other)
{
    struct link_hello now;

    begin_test();
    rig_every_object(&station, true);
    rig_every_object(&other, true);
    ASSERT_OK(rig_provision(&rig, &station, IMPRINT_SUITE_ECB, &err), err);
    ASSERT_OK(rig_lock(&rig, &station, &err), err);
    ASSERT_OK(rig_prove(&rig, &station, &err), err);
    station.symmetric[31] ^= 1;
    ASSERT_FAILS(rig_prove(&rig, &station, &err), ERR_PROOF);
    station.symmetric[31] ^= 1;
    ASSERT_OK(rig_hello(&rig, &now, &err), err);
    ck_assert_uint_eq(now.facts.lifecycle, IMPRINT_LIFE_LOCKED);
    ck_assert_str_eq(now.serial, "SN-0001");
    end_test();
}
END_TEST

/* ------ what is refused ------ */

static void no_symmetric_in_derived(void)
{
    station.has_symmetric = false;
}

static void certificates_without_key(void)
{
    station.derived = false;
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
    station.begin.objects++;
    station.begin.object_count--;
    rig_sign(&station, &hello);
}

static void configuration_without_key(void)
{
    buf_reset(&station.configuration_spki);
}

START_TEST(a_bundle_that_lacks_something_is_refused_before_any_write)
{
    static void (*const changes[])(void) = {no_symmetric_in_derived, configuration_without_key};
    unsigned before;

    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        prepared_everything(true);
        changes[i]();
        rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
        before = rig.flash.operations;
        ASSERT_STATUS(rig_begin(&rig, &station, &err), IMPRINT_ERR_BUNDLE);
        ck_assert_uint_eq(rig.flash.operations, before);
        end_test();
    }
    prepared_everything(false);
    certificates_without_key();
    ASSERT_STATUS(rig_begin(&rig, &station, &err), IMPRINT_ERR_BUNDLE);
    end_test();
}
END_TEST

static void change_configuration(void)
{
    station.configuration.data[station.configuration.len - 1] ^= 1;
}

static void change_configuration_signature(void)
{
    station.configuration.data[10] ^= 1;
}

static void sign_configuration_with_another_key(void)
{
    buf_reset(&station.configuration_spki);
    buf_put(&station.configuration_spki, station.decommission_spki.data,
            station.decommission_spki.len);
}

static void cut_configuration(void)
{
    station.configuration.len = 68; /* a signature over nothing */
}

static void change_signature_algorithm(void)
{
    station.configuration.data[3] ^= 1;
}

static void change_configuration_key(void)
{
    station.configuration_spki.data[4] ^= 1; /* of its algorithm */
}

static void change_decommission_key(void)
{
    station.decommission_spki.data[4] ^= 1;
}

static void cut_decommission_key(void)
{
    station.decommission_spki.len--;
}

START_TEST(what_the_device_would_rely_on_later_is_checked_before_it_is_in_force)
{
    static const struct {
        void (*change)(void);
        int status;
    } cases[] = {{change_configuration, IMPRINT_ERR_SIGNATURE},
                 {change_configuration_signature, IMPRINT_ERR_SIGNATURE},
                 {sign_configuration_with_another_key, IMPRINT_ERR_SIGNATURE},
                 {cut_configuration, IMPRINT_ERR_BUNDLE},
                 {change_signature_algorithm, IMPRINT_ERR_BUNDLE},
                 {change_configuration_key, IMPRINT_ERR_BUNDLE},
                 {change_decommission_key, IMPRINT_ERR_BUNDLE},
                 {cut_decommission_key, IMPRINT_ERR_BUNDLE}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct imprint_agent_identity identity;

        prepared_everything(i % 2);
        cases[i].change();
        rig_prepare(&station, &hello, IMPRINT_SUITE_X963); /* announced and signed as it is */
        put_and_commit(cases[i].status);
        ck_assert(!imprint_agent_identity(&rig.agent, &identity));
        end_test();
    }
}
END_TEST

START_TEST(a_symmetric_key_that_is_not_the_announced_one_is_refused)
{
    prepared_everything(true);
    station.wrapped_symmetric.data[0] ^= 1; /* it does not unwrap */
    put_and_commit(IMPRINT_ERR_KEY);
    end_test();
    prepared_everything(true);
    station.symmetric[0] ^= 1; /* it does, and is another one */
    rig_wrap_symmetric(&station, 32);
    put_and_commit(IMPRINT_ERR_KEY);
    end_test();
    prepared_everything(true);
    rig_wrap_symmetric(&station, 31); /* as long on the wire */
    put_and_commit(IMPRINT_ERR_KEY);
    end_test();
}
END_TEST

/* ------ DECOMMISSION ------ */

START_TEST(the_owner_takes_an_identity_away_locked_or_not)
{
    for (int i = 0; i < 4; i++) {
        struct imprint_agent_identity identity;
        struct link_farewell farewell;

        begin_test();
        rig_every_object(&station, i / 2);
        ASSERT_OK(rig_provision(&rig, &station, IMPRINT_SUITE_X963, &err), err);
        if (i % 2)
            ASSERT_OK(rig_lock(&rig, &station, &err), err);
        farewell = rig_farewell(&rig, &station);
        rig.drop_replies = 1;
        ASSERT_OK(link_client_decommission(&rig.client, &farewell, &err), err);
        ck_assert(!imprint_agent_identity(&rig.agent, &identity));
        ck_assert(!rig_flash_holds(&rig.flash, station.symmetric, 32));
        ck_assert(!rig_flash_holds(&rig.flash, station.anchors.data, 64));
        ASSERT_OK(rig_hello(&rig, &hello, &err), err);
        ck_assert_int_eq(hello.state, IMPRINT_TX_NONE);
        ck_assert_uint_eq(hello.facts.lifecycle, IMPRINT_LIFE_FACTORY);
        ASSERT_OK(rig_provision(&rig, &other, IMPRINT_SUITE_ECB, &err), err);
        ck_assert(rig_holds(&rig, &other));
        /* The old word does not touch the new identity. */
        ASSERT_STATUS(link_client_decommission(&rig.client, &farewell, &err), IMPRINT_ERR_STATE);
        ck_assert(rig_holds(&rig, &other));
        end_test();
    }
}
END_TEST

static void other_chip(struct link_farewell *f)
{
    f->chip_id[0] ^= 1;
}

static void shorter_chip(struct link_farewell *f)
{
    f->chip_id_len--;
}

static void other_identity(struct link_farewell *f)
{
    f->identity[31] ^= 1;
}

static void other_signature(struct link_farewell *f)
{
    f->sig.bytes[40] ^= 1;
}

static void other_key(struct link_farewell *f)
{
    EVP_PKEY *own = station.decommission_key;

    station.decommission_key = station.configuration_key;
    *f = rig_farewell(&rig, &station);
    station.decommission_key = own;
}

START_TEST(an_identity_is_not_taken_away_by_anybody_else)
{
    static void (*const changes[])(struct link_farewell * f) = {
        other_chip, shorter_chip, other_identity, other_signature, other_key};
    struct link_farewell good, changed;
    unsigned before;

    begin_test();
    rig_every_object(&station, false);
    ASSERT_OK(rig_provision(&rig, &station, IMPRINT_SUITE_X963, &err), err);
    good = rig_farewell(&rig, &station);
    before = rig.flash.operations;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        changed = good;
        changes[i](&changed);
        ASSERT_STATUS(link_client_decommission(&rig.client, &changed, &err), IMPRINT_ERR_SIGNATURE);
    }
    changed = good;
    changed.sig.alg = IMPRINT_ALG_LMS;
    ASSERT_STATUS(link_client_decommission(&rig.client, &changed, &err), IMPRINT_ERR_SUITE);
    changed = good;
    changed.sig.len--;
    ASSERT_STATUS(link_client_decommission(&rig.client, &changed, &err), IMPRINT_ERR_FORMAT);
    ck_assert_uint_eq(rig.flash.operations, before);
    ck_assert(rig_holds(&rig, &station));
    /* With another transaction open it waits: ABORT or COMMIT first. */
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare(&other, &hello, IMPRINT_SUITE_X963);
    ASSERT_OK(rig_begin(&rig, &other, &err), err);
    ASSERT_STATUS(link_client_decommission(&rig.client, &good, &err), IMPRINT_ERR_BUSY);
    ASSERT_OK(link_client_abort(&rig.client, &err), err);
    ASSERT_OK(link_client_decommission(&rig.client, &good, &err), err);
    end_test();
}
END_TEST

START_TEST(an_identity_without_a_decommission_key_stays)
{
    struct link_farewell farewell;

    begin_test();
    ASSERT_OK(rig_provision(&rig, &station, IMPRINT_SUITE_X963, &err), err);
    station.decommission_key = EVP_EC_gen("P-256");
    farewell = rig_farewell(&rig, &station);
    ASSERT_STATUS(link_client_decommission(&rig.client, &farewell, &err), IMPRINT_ERR_STATE);
    ck_assert(rig_holds(&rig, &station));
    end_test();
}
END_TEST

CHECK_MAIN("agent_objects", every_type_of_object_reaches_the_device,
           a_derived_identity_proves_itself_with_its_key_and_with_no_other,
           a_bundle_that_lacks_something_is_refused_before_any_write,
           what_the_device_would_rely_on_later_is_checked_before_it_is_in_force,
           a_symmetric_key_that_is_not_the_announced_one_is_refused,
           the_owner_takes_an_identity_away_locked_or_not,
           an_identity_is_not_taken_away_by_anybody_else,
           an_identity_without_a_decommission_key_stays)
