/*
 * importer_state: an importer's state beside the manifests of manifest_fixture.h, and other factories.
 */
#ifndef TESTS_IMPORTER_STATE_H
#define TESTS_IMPORTER_STATE_H

#include "manifest_fixture.h"

#include "base/file.h"
#include "manifests/trust/accept.h"
#include "manifests/trust/list.h"
#include "manifests/trust/lookup.h"

#include <stdlib.h>
#include <string.h>

static char state_path[PATH_MAX];
static struct trust *t;
static struct trust_accepted accepted;

static inline void open_state(void)
{
    ASSERT_OK(trust_open(state_path, TRUST_CREATE, &t, &err), err);
}

static inline void begin_state(void)
{
    begin();
    snprintf(state_path, sizeof state_path, "%s/state", top);
    open_state();
}

static inline void end_state(void)
{
    trust_close(t);
    t = NULL;
    end();
}

static inline int accept_of(const struct kit *k, const char *dir)
{
    struct verify_policy policy = kit_policy(k);

    err.text[0] = 0;
    return trust_accept(t, dir, &policy, NULL, &accepted, &err);
}

static inline int accept(const char *dir)
{
    return accept_of(&kit, dir);
}

static inline void accept_all(void)
{
    ASSERT_OK(accept(one), err);
    ASSERT_OK(accept(two), err);
    ASSERT_OK(accept(three), err);
}

static inline enum whitelist_answer answer(const char *serial)
{
    struct trust_verdict v;

    ASSERT_OK(trust_lookup_serial(t, serial, NULL, &v, &err), err);
    return v.answer;
}

static inline int count_row(void *ctx, const struct trust_row *row, struct error *why)
{
    (void)row;
    (void)why;
    ++*(unsigned *)ctx;
    return 0;
}

static inline unsigned rows(void)
{
    unsigned count = 0;

    ASSERT_OK(trust_list(t, count_row, &count, &err), err);
    return count;
}

/* A second factory in a folder of its own. */
static inline void begin_other(struct kit *k, char *dir, const char *origin, const char *station)
{
    snprintf(dir, 64, "/tmp/check_other_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    kit_init_station(k, dir, origin, station);
}

static inline void end_other(struct kit *k, const char *dir)
{
    kit_done(k);
    ASSERT_OK(file_remove_tree(dir, &err), err);
}

static inline int accept_one_of(struct kit *k, const char *serial)
{
    struct kit_device d;
    struct kit_batch b;

    kit_begin(&b, k, "1", NULL);
    kit_device_init(k, &d, serial);
    kit_add(&b, &d);
    kit_end(&b, NULL);
    kit_device_done(&d);
    return accept_of(k, b.dir);
}

/* One more manifest after the three, with one record about a device. */
static inline int accept_change(enum record_type type, const char *serial, uint64_t ref)
{
    struct manifest_state state;
    struct record of = {.ts = 1795000000, .chip_len = 12}, r;
    const struct manifest_totals before = kit.totals; /* of the three: the last try is gone */
    struct error ignored = ERROR_INIT;
    struct kit_batch b;
    int rc;

    ASSERT_OK(seal_state_read(three, &state, &err), err);
    memcpy(of.order, kit.totals.order, sizeof of.order);
    strcpy(of.prod, KIT_PRODUCT);
    strcpy(of.sn, serial);
    kit_begin(&b, &kit, "4", &state);
    kit_change(&r, type, &of, ref);
    kit_add_record(&b, &r);
    kit_end(&b, NULL);
    kit.totals = before;
    rc = accept(b.dir);
    ASSERT_OK(file_remove_tree(b.dir, &ignored), ignored);
    return rc;
}

#endif
