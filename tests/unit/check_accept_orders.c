/* Manifests that are held to the owner's orders: two stations, their shares, and amendments. */
#include "manifest_fixture.h"

#include "base/codec.h"
#include "base/file.h"
#include "manifests/trust/accept.h"
#include "manifests/trust/quota.h"

#include <openssl/x509.h>
#include <string.h>

/* A station with its log, under the same order as the other one. */
struct station {
    struct kit kit;
    struct manifest_state state;
    struct record last; /* of the device added last */
    char dir[64], name[8];
    int manifests, devices;
};

static struct station a, b;
static struct trust *t;
static struct trust_orders orders;
static char folder[64];

struct counts {
    int good, max_issued;
};

/* ---- orders */

static void issuer_of(const struct station *s, char hex[2 * SHA256_SIZE + 1])
{
    uint8_t hash[SHA256_SIZE];
    unsigned len = sizeof hash;

    ck_assert_int_eq(X509_digest(s->kit.ca, EVP_sha256(), hash, &len), 1);
    hex_encode(hash, sizeof hash, hex);
}

static int read_order(const char *text)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/order.json", folder);
    ASSERT_OK(file_write(path, text, strlen(text), 0644, &err), err);
    return trust_orders_read(path, &orders, &err);
}

/* Adds a version; after NULL: the first one. The shares are of station a and of station b. */
static const struct trust_order *give(const struct trust_order *after, struct counts all,
                                      struct counts of_a, struct counts of_b)
{
    char text[2048], amends[128] = "\"type\":\"order\"", hex[2 * SHA256_SIZE + 1];
    char issuer_a[sizeof hex], issuer_b[sizeof hex];

    if (after) {
        hex_encode(after->hash, sizeof after->hash, hex);
        snprintf(amends, sizeof amends, "\"type\":\"amendment\",\"amends\":\"%s\"", hex);
    }
    issuer_of(&a, issuer_a);
    issuer_of(&b, issuer_b);
    snprintf(text, sizeof text,
             "{%s,\"counts\":{\"good\":%d,\"max_issued\":%d},\"stations\":["
             "{\"issuer\":\"%s\",\"good\":%d,\"max_issued\":%d},"
             "{\"issuer\":\"%s\",\"good\":%d,\"max_issued\":%d}]}",
             amends, all.good, all.max_issued, issuer_a, of_a.good, of_a.max_issued, issuer_b,
             of_b.good, of_b.max_issued);
    ASSERT_OK(read_order(text), err);
    return &orders.at[orders.count - 1];
}

/* ---- stations */

static void begin_station(struct station *s, const char *name)
{
    char origin[64];

    *s = (struct station){0};
    strcpy(s->name, name);
    strcpy(s->dir, "/tmp/check_station_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(s->dir));
    snprintf(origin, sizeof origin, "factory.example/wl/%s", name);
    kit_init_station(&s->kit, s->dir, origin, name);
}

static void end_station(struct station *s)
{
    kit_done(&s->kit);
    ASSERT_OK(file_remove_tree(s->dir, &err), err);
}

static void begin_stations(void)
{
    char state[80];

    strcpy(folder, "/tmp/check_orders_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(state, sizeof state, "%s/state", folder);
    ASSERT_OK(trust_open(state, TRUST_CREATE, &t, &err), err);
    begin_station(&a, "line-a");
    begin_station(&b, "line-b");
    orders.count = 0;
}

static void end_stations(void)
{
    end_station(&a);
    end_station(&b);
    trust_close(t);
    ASSERT_OK(file_remove_tree(folder, &err), err);
}

static void count_under(const struct trust_order *first)
{
    memcpy(a.kit.totals.order, first->hash, SHA256_SIZE);
    memcpy(b.kit.totals.order, first->hash, SHA256_SIZE);
}

static void begin_manifest(struct station *s, struct kit_batch *batch)
{
    char name[12];

    snprintf(name, sizeof name, "%d", ++s->manifests);
    kit_begin(batch, &s->kit, name, s->manifests > 1 ? &s->state : NULL);
}

/* A device; issuer NULL: the station's own issuing CA. */
static void add_device(struct station *s, struct kit_batch *batch, const struct station *issuer)
{
    struct kit_device d;
    char serial[32];

    snprintf(serial, sizeof serial, "%s-%d", s->name, ++s->devices);
    kit_device_init(&s->kit, &d, serial);
    if (issuer)
        kit_prove_under(&d, issuer->kit.ca_key, issuer->kit.ca);
    kit_add(batch, &d);
    s->last = d.record;
    kit_device_done(&d);
}

/* A certificate of which no byte was released. */
static void add_scrapped(struct station *s, struct kit_batch *batch)
{
    struct kit_device d;

    kit_device_init(&s->kit, &d, "scrapped");
    d.record.t = RECORD_VOID;
    d.record.reason = RECORD_SCRAPPED;
    d.record.hsm[0] = 0;
    d.record.chip_len = 0;
    kit_add_record(batch, &d.record);
    kit_device_done(&d);
}

static int accept(const struct station *s, const struct kit_batch *batch)
{
    struct verify_policy policy = kit_policy(&s->kit);
    struct trust_accepted accepted;

    err.text[0] = 0;
    ASSERT_OK(trust_orders_check(&orders, &err), err);
    return trust_accept(t, batch->dir, &policy, &orders, &accepted, &err);
}

/* The next manifest of a station, with so many devices. */
static int accept_next(struct station *s, int devices)
{
    struct kit_batch batch;

    begin_manifest(s, &batch);
    for (int i = 0; i < devices; i++)
        add_device(s, &batch, NULL);
    kit_end(&batch, &s->state);
    return accept(s, &batch);
}

/* One that revokes its last device, which was the only one. */
static int accept_revocation(struct station *s)
{
    struct kit_batch batch;
    struct record r;

    begin_manifest(s, &batch);
    kit_change(&r, RECORD_REVOKE, &s->last, s->state.tree.size - 1);
    kit_add_record(&batch, &r);
    kit_end(&batch, &s->state);
    return accept(s, &batch);
}

static void assert_text(const char *part)
{
    ck_assert_msg(strstr(err.text, part), "'%s' is not in: %s", part, err.text);
}

/* ---- tests */

START_TEST(a_station_is_held_to_its_own_share)
{
    begin_stations();
    count_under(give(NULL, (struct counts){4, 4}, (struct counts){1, 1}, (struct counts){3, 3}));
    ASSERT_FAILS(accept_next(&a, 2), ERR_REFUSED);
    assert_text("2 certificates were issued");
    assert_text("allows this station 1");
    ASSERT_OK(accept_next(&b, 3), err);
    ASSERT_FAILS(accept_next(&b, 1), ERR_REFUSED);
    assert_text("allows this station 3");
    end_stations();
}
END_TEST

/* A manifest of which no record has a certificate, and so many were issued. */
static int accept_uncertified(struct station *s, unsigned count)
{
    EVP_PKEY *next = kit_key();
    struct kit_batch batch;

    begin_manifest(s, &batch);
    batch.also_log_key = next;
    kit_add_rotation(&batch, &(struct kit_rotation){ROTATION_LOG, next, s->kit.log_key, next,
                                                    s->state.tree.size, s->name});
    s->kit.totals.issued = s->kit.totals.unused = count;
    kit_end(&batch, NULL);
    EVP_PKEY_free(next);
    return accept(s, &batch);
}

START_TEST(a_log_that_does_not_show_its_station_is_held_to_the_largest_share)
{
    begin_stations();
    count_under(give(NULL, (struct counts){9, 9}, (struct counts){1, 1}, (struct counts){3, 3}));
    ASSERT_FAILS(accept_uncertified(&a, 4), ERR_REFUSED);
    assert_text("allows this station 3");
    ASSERT_OK(accept_uncertified(&b, 3), err);
    end_stations();
}
END_TEST

START_TEST(what_was_scrapped_gives_its_place_back)
{
    struct kit_batch batch;

    begin_stations();
    count_under(give(NULL, (struct counts){4, 4}, (struct counts){1, 1}, (struct counts){3, 3}));
    begin_manifest(&a, &batch);
    add_scrapped(&a, &batch);
    add_device(&a, &batch, NULL);
    kit_end(&batch, &a.state);
    ASSERT_OK(accept(&a, &batch), err);
    ASSERT_FAILS(accept_next(&a, 1), ERR_REFUSED);
    end_stations();
}
END_TEST

START_TEST(live_identities_have_a_quota_of_their_own)
{
    begin_stations();
    count_under(give(NULL, (struct counts){4, 9}, (struct counts){2, 5}, (struct counts){2, 4}));
    ASSERT_OK(accept_next(&a, 2), err);
    ASSERT_OK(accept_revocation(&a), err);
    ASSERT_OK(accept_next(&a, 1), err);
    ASSERT_FAILS(accept_next(&a, 1), ERR_REFUSED);
    assert_text("3 live identities");
    end_stations();
}
END_TEST

START_TEST(an_amendment_with_less_counts_although_the_station_does_not_name_it)
{
    const struct trust_order *first;

    begin_stations();
    first = give(NULL, (struct counts){4, 4}, (struct counts){2, 2}, (struct counts){2, 2});
    count_under(first);
    ASSERT_OK(accept_next(&a, 1), err);
    give(first, (struct counts){1, 1}, (struct counts){0, 0}, (struct counts){1, 1});
    ASSERT_FAILS(accept_next(&b, 2), ERR_REFUSED);
    assert_text("allows this station 1");
    /* What was accepted before stays, and what revokes it is never refused. */
    ASSERT_OK(accept_revocation(&a), err);
    ASSERT_FAILS(accept_next(&a, 1), ERR_REFUSED);
    assert_text("allows this station 0");
    end_stations();
}
END_TEST

START_TEST(an_amendment_with_more_counts_from_when_it_is_given)
{
    const struct trust_order *first;

    begin_stations();
    first = give(NULL, (struct counts){2, 2}, (struct counts){1, 1}, (struct counts){1, 1});
    count_under(first);
    ASSERT_OK(accept_next(&a, 1), err);
    give(first, (struct counts){3, 3}, (struct counts){2, 2}, (struct counts){1, 1});
    ASSERT_OK(accept_next(&a, 1), err);
    ASSERT_FAILS(accept_next(&a, 1), ERR_REFUSED);
    end_stations();
}
END_TEST

START_TEST(all_stations_together_stay_within_the_order)
{
    const struct trust_order *first;

    begin_stations();
    first = give(NULL, (struct counts){4, 4}, (struct counts){2, 2}, (struct counts){2, 2});
    count_under(first);
    ASSERT_OK(accept_next(&a, 2), err);
    /* One of station a's goes to station b, and station a has it already. */
    give(first, (struct counts){4, 4}, (struct counts){1, 1}, (struct counts){3, 3});
    ASSERT_OK(accept_next(&b, 2), err);
    ASSERT_FAILS(accept_next(&b, 1), ERR_REFUSED);
    assert_text("5 certificates");
    assert_text("allows all stations 4");
    end_stations();
}
END_TEST

START_TEST(an_issuing_ca_that_the_order_does_not_list_is_refused)
{
    struct station stranger;

    begin_stations();
    count_under(give(NULL, (struct counts){9, 9}, (struct counts){4, 4}, (struct counts){5, 5}));
    begin_station(&stranger, "line-c");
    memcpy(stranger.kit.totals.order, orders.at[0].hash, SHA256_SIZE);
    ASSERT_FAILS(accept_next(&stranger, 1), ERR_REFUSED);
    assert_text("gives to no station");
    end_station(&stranger);
    end_stations();
}
END_TEST

/* Else a station could draw on the shares of two. */
START_TEST(a_log_is_of_one_station)
{
    struct record r = {.t = RECORD_ADD, .sn = "line-a-1", .cert = {(const uint8_t *)"", 1}};
    struct trust_quota q;

    begin_stations();
    count_under(give(NULL, (struct counts){9, 9}, (struct counts){4, 4}, (struct counts){5, 5}));
    memcpy(r.order, orders.at[0].hash, sizeof r.order);
    memcpy(r.iss, orders.at[0].stations[1].issuers[0], sizeof r.iss);
    ASSERT_OK(trust_quota_load(&q, t, &orders, 1, &err), err);
    ASSERT_OK(trust_quota_record(&q, &r, &err), err);
    ASSERT_OK(accept_next(&a, 1), err);
    ASSERT_OK(trust_quota_load(&q, t, &orders, 1, &err), err);
    ASSERT_FAILS(trust_quota_record(&q, &r, &err), ERR_REFUSED);
    assert_text("a log is of one station");
    end_stations();
}
END_TEST

/* An order gives a station several issuing CAs: one for another product, or one after the other. */
START_TEST(a_station_may_have_several_issuing_cas)
{
    char text[2048], hex[2 * SHA256_SIZE + 1], other[sizeof hex];
    struct kit_batch batch;

    begin_stations();
    issuer_of(&a, hex);
    issuer_of(&b, other);
    snprintf(text, sizeof text,
             "{\"type\":\"order\",\"counts\":{\"good\":9,\"max_issued\":9},\"stations\":["
             "{\"key\":\"%064d\",\"issuer\":[\"%s\",\"%s\"],\"good\":3,\"max_issued\":3}]}",
             7, hex, other);
    ASSERT_OK(read_order(text), err);
    count_under(&orders.at[0]);
    kit_share_root(&a.kit, &b.kit);
    begin_manifest(&a, &batch);
    add_device(&a, &batch, NULL);
    add_device(&a, &batch, &b);
    kit_end(&batch, &a.state);
    ASSERT_OK(accept(&a, &batch), err);
    begin_manifest(&a, &batch);
    add_device(&a, &batch, &b);
    kit_end(&batch, &a.state);
    ASSERT_OK(accept(&a, &batch), err);
    ASSERT_FAILS(accept_next(&a, 1), ERR_REFUSED); /* the share is that of the station */
    assert_text("allows this station 3");
    end_stations();
}
END_TEST

/* A hosted CA may be one station's in one order and another's in the next: the order that a record
 * names tells whose it is. */
START_TEST(a_hosted_ca_is_of_the_station_of_each_order)
{
    struct record r = {.sn = "line-a-1", .cert = {(const uint8_t *)"", 1}};
    char text[1024], hex[2 * SHA256_SIZE + 1];
    struct trust_quota q;

    begin_stations();
    issuer_of(&a, hex);
    for (int station = 7; station < 9; station++) {
        snprintf(text, sizeof text,
                 "{\"type\":\"order\",\"counts\":{\"good\":9,\"max_issued\":9},\"stations\":["
                 "{\"key\":\"%064d\",\"hosted\":\"%s\",\"good\":3,\"max_issued\":3}]}",
                 station, hex);
        ASSERT_OK(read_order(text), err);
    }
    count_under(&orders.at[1]);
    ASSERT_OK(accept_next(&a, 1), err);
    ASSERT_OK(trust_quota_load(&q, t, &orders, 1, &err), err);
    memcpy(r.order, orders.at[1].hash, sizeof r.order);
    memcpy(r.iss, orders.at[1].stations[0].issuers[0], sizeof r.iss);
    ASSERT_OK(trust_quota_record(&q, &r, &err), err);
    memcpy(r.order, orders.at[0].hash, sizeof r.order);
    ASSERT_FAILS(trust_quota_record(&q, &r, &err), ERR_REFUSED);
    assert_text("a log is of one station");
    end_stations();
}
END_TEST

/* After a rollover what the CA before made is still scrapped, under a version without that CA. */
START_TEST(what_a_delisted_ca_made_may_end_and_not_begin)
{
    struct record r = {.sn = "line-a-1", .cert = {(const uint8_t *)"", 1}};
    const struct trust_order *second;
    char text[1024], amends[2 * SHA256_SIZE + 1], hex[sizeof amends];
    struct trust_quota q;

    begin_stations();
    issuer_of(&a, hex);
    snprintf(text, sizeof text,
             "{\"type\":\"order\",\"counts\":{\"good\":9,\"max_issued\":9},\"stations\":["
             "{\"key\":\"%064d\",\"issuer\":[\"%s\"],\"good\":3,\"max_issued\":3}]}",
             7, hex);
    ASSERT_OK(read_order(text), err);
    memcpy(r.iss, orders.at[0].stations[0].issuers[0], sizeof r.iss);
    hex_encode(orders.at[0].hash, SHA256_SIZE, amends);
    issuer_of(&b, hex);
    snprintf(text, sizeof text,
             "{\"type\":\"amendment\",\"amends\":\"%s\",\"counts\":{\"good\":9,\"max_issued\":9},"
             "\"stations\":[{\"key\":\"%064d\",\"issuer\":[\"%s\"],\"good\":3,\"max_issued\":3}]}",
             amends, 7, hex);
    ASSERT_OK(read_order(text), err);
    second = &orders.at[1];
    memcpy(r.order, second->hash, sizeof r.order);
    for (r.t = RECORD_ADD; r.t <= RECORD_REPLACE; r.t++) {
        ASSERT_OK(trust_quota_load(&q, t, &orders, 1, &err), err);
        ASSERT_FAILS(trust_quota_record(&q, &r, &err), ERR_REFUSED);
        assert_text("gives to no station");
    }
    r.t = RECORD_VOID;
    ASSERT_OK(trust_quota_load(&q, t, &orders, 1, &err), err);
    ASSERT_OK(trust_quota_record(&q, &r, &err), err);
    memset(r.iss, 9, sizeof r.iss);
    ASSERT_FAILS(trust_quota_record(&q, &r, &err), ERR_REFUSED);
    end_stations();
}
END_TEST

START_TEST(what_no_version_of_the_order_is_is_not_counted_as_one)
{
    static uint8_t named[1][SHA256_SIZE];
    const struct trust_order *first, *second, *other;

    begin_stations();
    first = give(NULL, (struct counts){2, 2}, (struct counts){1, 1}, (struct counts){1, 1});
    other = give(NULL, (struct counts){8, 8}, (struct counts){4, 4}, (struct counts){4, 4});
    second = give(first, (struct counts){2, 2}, (struct counts){1, 1}, (struct counts){1, 1});
    count_under(second);
    ASSERT_FAILS(accept_next(&a, 1), ERR_REFUSED);
    assert_text("as an order of its own");
    count_under(other);
    memcpy(named[0], second->hash, SHA256_SIZE);
    b.kit.totals.amendments = named;
    b.kit.totals.amendment_count = 1;
    ASSERT_FAILS(accept_next(&b, 1), ERR_REFUSED);
    assert_text("which it does not amend");
    end_stations();
}
END_TEST

START_TEST(only_orders_that_are_given_may_stand_in_a_manifest)
{
    begin_stations();
    count_under(give(NULL, (struct counts){2, 2}, (struct counts){1, 1}, (struct counts){1, 1}));
    orders.at[0].hash[0] ^= 1;
    ASSERT_FAILS(accept_next(&a, 1), ERR_REFUSED);
    assert_text("the record of 'line-a-1' names an order that is not among those given");
    ASSERT_FAILS(accept_next(&b, 0), ERR_REFUSED);
    assert_text("the manifest counts order");
    end_stations();
}
END_TEST

START_TEST(versions_that_are_given_are_one_chain)
{
    const struct trust_order *first, missing = {.hash = {1}};

    begin_stations();
    first = give(NULL, (struct counts){2, 2}, (struct counts){1, 1}, (struct counts){1, 1});
    give(NULL, (struct counts){2, 2}, (struct counts){1, 1}, (struct counts){1, 1});
    ck_assert_uint_eq(orders.count, 1); /* the same file again */
    give(first, (struct counts){2, 3}, (struct counts){1, 1}, (struct counts){1, 1});
    ASSERT_OK(trust_orders_check(&orders, &err), err);
    give(first, (struct counts){2, 4}, (struct counts){1, 1}, (struct counts){1, 1});
    ASSERT_FAILS(trust_orders_check(&orders, &err), ERR_INPUT);
    assert_text("two amendments");
    orders.count = 1;
    give(&missing, (struct counts){2, 4}, (struct counts){1, 1}, (struct counts){1, 1});
    ASSERT_FAILS(trust_orders_check(&orders, &err), ERR_INPUT);
    assert_text("not among those given");
    end_stations();
}
END_TEST

#define ISSUER   "\"issuer\":\"0000000000000000000000000000000000000000000000000000000000000000\""
#define STATIONS ",\"stations\":[{" ISSUER ",\"good\":1,\"max_issued\":1}]"
#define COUNTS   ",\"counts\":{\"good\":1,\"max_issued\":1}"

static const char *const no_orders[] = {
    "",
    "[]",
    "{}",
    "{\"type\":\"order\"" COUNTS "}",
    "{\"type\":\"order\"" STATIONS "}",
    "{\"type\":\"ticket\"" COUNTS STATIONS "}",
    "{\"type\":\"amendment\"" COUNTS STATIONS "}",
    "{\"type\":\"amendment\",\"amends\":\"00\"" COUNTS STATIONS "}",
    "{\"type\":\"order\",\"counts\":{\"good\":-1,\"max_issued\":1}" STATIONS "}",
    "{\"type\":\"order\",\"counts\":{\"max_issued\":1}" STATIONS "}",
    "{\"type\":\"order\"" COUNTS ",\"stations\":[]}",
    "{\"type\":\"order\"" COUNTS ",\"stations\":[{" ISSUER ",\"good\":1}]}",
    "{\"type\":\"order\"" COUNTS ",\"stations\":[{\"good\":1,\"max_issued\":1}]}",
};

START_TEST(what_is_no_order_is_refused)
{
    begin_stations();
    ASSERT_OK(read_order("{\"type\":\"order\"" COUNTS STATIONS "}"), err);
    ASSERT_FAILS(read_order(no_orders[_i]), ERR_INPUT);
    ck_assert_uint_eq(orders.count, 1);
    end_stations();
}
END_TEST

CHECK_ITEMS_MAIN("accept_orders", ONCE(a_station_is_held_to_its_own_share),
                 ONCE(a_log_that_does_not_show_its_station_is_held_to_the_largest_share),
                 ONCE(what_was_scrapped_gives_its_place_back),
                 ONCE(live_identities_have_a_quota_of_their_own),
                 ONCE(an_amendment_with_less_counts_although_the_station_does_not_name_it),
                 ONCE(an_amendment_with_more_counts_from_when_it_is_given),
                 ONCE(all_stations_together_stay_within_the_order),
                 ONCE(an_issuing_ca_that_the_order_does_not_list_is_refused),
                 ONCE(a_log_is_of_one_station), ONCE(a_station_may_have_several_issuing_cas),
                 ONCE(a_hosted_ca_is_of_the_station_of_each_order),
                 ONCE(what_a_delisted_ca_made_may_end_and_not_begin),
                 ONCE(what_no_version_of_the_order_is_is_not_counted_as_one),
                 ONCE(only_orders_that_are_given_may_stand_in_a_manifest),
                 ONCE(versions_that_are_given_are_one_chain),
                 EACH_ROW(what_is_no_order_is_refused, no_orders))
