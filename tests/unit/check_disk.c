/*
 * A disk that is full, fails or is locked: at each call of SQLite in turn, in each thing that a station
 * does, and what the station does then.
 */
#include "faulty_disk.h"
#include "swept_work.h"

static const struct {
    const char *name;
    enum faulty_disk_kind kind;
    bool for_ever;
    int code; /* what the operator is told; 0: ERR_STORE or ERR_READONLY, by the call */
} disk_faults[] = {
    {"the disk is full for a moment", DISK_FULL, false, ERR_FULL},
    {"the disk is full", DISK_FULL, true, ERR_FULL},
    {"a write is torn", DISK_TORN, false, ERR_STORE},
    {"an I/O error", DISK_ERROR, false, 0},
    {"the disk is dead", DISK_ERROR, true, 0},
    {"a sync fails", DISK_SYNC, false, ERR_STORE},
    {"no sync works", DISK_SYNC, true, ERR_STORE},
    {"a lock is late", DISK_LOCKED, false, ERR_BUSY},
    {"locked", DISK_LOCKED, true, ERR_BUSY},
};

static unsigned long runs;

/* After an I/O error or a lock the command has ended; after others it has every other time. */
static void recover(struct rig *r, int rc)
{
    if (rc == ERR_STORE || rc == ERR_READONLY || rc == ERR_BUSY || runs % 2)
        rig_restart(r);
}

static void disk_start(struct rig *r, const struct rig_order *order, int64_t count)
{
    work_hooks = (struct work_hooks){faulty_disk_pause, recover, false};
    faulty_disk_use();
    faulty_disk_set(DISK_ERROR, 0, false);
    rig_start(r, order, count);
}

static bool is_told_right(int rc, int code)
{
    return rc == 0 || (code ? rc == code : rc == ERR_STORE || rc == ERR_READONLY);
}

/* One run with fault number at; false when there was no such call. */
static bool disk_run(const struct sweep *s, struct rig *r, size_t fault, unsigned long at)
{
    struct error err = ERROR_INIT;
    struct faulty_disk_state state;
    char after[160];
    int rc;

    if (s->prepare)
        s->prepare(r);
    faulty_disk_set(disk_faults[fault].kind, at, disk_faults[fault].for_ever);
    rc = s->body(r, &err);
    state = faulty_disk_state();
    faulty_disk_set(DISK_ERROR, 0, false);
    snprintf(after, sizeof after, "%s: %s in call %lu, %s", s->name, disk_faults[fault].name, at,
             state.call ? state.call : "none");
    if (getenv("IMPRINT_SWEEP_SHOW"))
        printf("%s: %s: %s\n", after, error_name(rc), err.text);
    ck_assert_msg(state.faults || rc == 0, "%s: %s: %s", after, error_name(rc), err.text);
    ck_assert_msg(is_told_right(rc, disk_faults[fault].code), "%s: %s: %s", after, error_name(rc),
                  err.text);
    s->verify(r, rc, after);
    runs++;
    return state.faults > 0;
}

static void disk_sweep(const struct sweep *s, struct rig *r, size_t fault)
{
    bool each = disk_faults[fault].kind == DISK_SYNC;
    unsigned long stride = each ? 1 : sweep_stride(s->stride), at, faults = 0;

    for (at = 1 + fault % stride; disk_run(s, r, fault, at); at += stride)
        faults++;
    ck_assert_uint_gt(faults, 0);
    printf("%s, %s: %lu faults, every %lu. call up to call %lu\n", s->name, disk_faults[fault].name,
           faults, stride, at - 1);
}

START_TEST(a_batch_is_there_whole_or_not_at_all)
{
    static const struct sweep sweep = {"generate", batch_prepare, batch_body, batch_verify, 3};
    struct rig r;

    disk_start(&r, &plain_order, 0);
    disk_sweep(&sweep, &r, (size_t)_i);
    rig_end(&r);
}
END_TEST

START_TEST(a_device_is_provisioned_the_next_time)
{
    static const struct sweep sweep = {"a device", device_prepare, device_body, device_verify, 7};
    struct rig r;

    disk_start(&r, &plain_order, 0);
    disk_sweep(&sweep, &r, (size_t)_i);
    device_done(&dut);
    rig_end(&r);
}
END_TEST

/* The same as the server asks: each request in a group, which is rolled back as a whole. */
START_TEST(a_device_that_is_answered_in_groups_is_provisioned_the_next_time)
{
    static const struct sweep sweep = {"a device, in groups", device_prepare, device_body,
                                       device_verify, 7};
    struct rig r;

    disk_start(&r, &plain_order, 0);
    work_hooks.grouped = true;
    disk_sweep(&sweep, &r, (size_t)_i);
    device_done(&dut);
    rig_end(&r);
}
END_TEST

START_TEST(a_sealing_is_finished_with_the_same_bytes)
{
    static const struct sweep sweep = {"sealing", seal_prepare, seal_body, seal_verify, 5};
    struct rig r;

    disk_start(&r, &plain_order, 0);
    disk_sweep(&sweep, &r, (size_t)_i);
    device_done(&dut);
    rig_end(&r);
}
END_TEST

/* ---- opening ---- */

/* Nothing is written then. */
static const size_t opening_faults[] = {3, 4, 7, 8};

static void start_prepare(struct rig *r)
{
    if (r->store)
        rig_close(r);
}

static int start_body(struct rig *r, struct error *err)
{
    struct store *store = NULL;
    int rc = vault_open_store(&r->config, STORE_WRITE, &store, err);

    if (rc == 0)
        rc = store_check(store, err);
    store_close(store);
    return rc;
}

static void start_verify(struct rig *r, int rc, const char *after)
{
    (void)rc;
    (void)after;
    rig_open(r);
    rig_generate(r, 1); /* so that there is a log to be read at the next start */
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM credentials"),
                     rig_int(r, "SELECT next - 1 FROM counters"));
}

START_TEST(a_database_that_cannot_be_opened_is_whole_the_next_time)
{
    static const struct sweep sweep = {"opening", start_prepare, start_body, start_verify, 3};
    struct rig r;

    disk_start(&r, &plain_order, 1);
    disk_sweep(&sweep, &r, opening_faults[_i]);
    rig_end(&r);
}
END_TEST

/* ---- bugs that the sweeps found ---- */

/* SQLite then forgets what it knew of the file, as if another program had written it. */
START_TEST(after_an_io_error_nobody_else_is_blamed)
{
    struct error err = ERROR_INIT;
    struct rig r;
    int rc = 0;

    disk_start(&r, &plain_order, 0);
    for (unsigned long at = 1; rc == 0; at++) {
        faulty_disk_set(DISK_SYNC, at, false);
        rig_sql(&r, "SELECT 1");
        ASSERT_OK(store_begin(r.store, &err), err);
        rig_sql(&r, "INSERT INTO attempts(at, slot, serial, code, text) VALUES (0, '', '', 0, '')");
        rc = store_commit(r.store, &err);
    }
    ck_assert_int_eq(rc, ERR_STORE);
    faulty_disk_set(DISK_ERROR, 0, false);
    for (int i = 0; i < 2; i++) {
        ASSERT_FAILS(store_begin(r.store, &err), ERR_STORE);
        ck_assert_msg(strstr(err.text, "the disk failed") != NULL, "%s", err.text);
    }
    ASSERT_FAILS(store_settle(r.store, &err), ERR_STORE);
    rig_restart(&r);
    rig_end(&r);
}
END_TEST

RIG_MAIN("disk", EACH_ROW(a_database_that_cannot_be_opened_is_whole_the_next_time, opening_faults),
         ONCE(after_an_io_error_nobody_else_is_blamed),
         EACH_ROW(a_batch_is_there_whole_or_not_at_all, disk_faults),
         EACH_ROW(a_device_is_provisioned_the_next_time, disk_faults),
         EACH_ROW(a_device_that_is_answered_in_groups_is_provisioned_the_next_time, disk_faults),
         EACH_ROW(a_sealing_is_finished_with_the_same_bytes, disk_faults))
