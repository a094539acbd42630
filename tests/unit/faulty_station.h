/*
 * faulty_station: a station of vault_rig.h whose PKCS#11 module fails on request (p11proxy.h), and
 * the sweep: fault number 1, 2, 3... until a run injects none.
 *
 * IMPRINT_SWEEP=all sweeps every call; else a sweep may take every so manieth, which it prints.
 */
#ifndef TESTS_FAULTY_STATION_H
#define TESTS_FAULTY_STATION_H

#include "../p11proxy/p11proxy.h"
#include "played_device.h"

#include "hsm/anchor.h"

/* A way to fail. */
struct fault_kind {
    const char *name;
    CK_RV rv;
    enum p11proxy_how how;
};

static const struct fault_kind fault_kinds[] = {
    {"device error", CKR_DEVICE_ERROR, P11PROXY_REFUSE},
    {"general error", CKR_GENERAL_ERROR, P11PROXY_REFUSE},
    {"session gone", CKR_SESSION_HANDLE_INVALID, P11PROXY_CLOSE},
    {"module gone", CKR_CRYPTOKI_NOT_INITIALIZED, P11PROXY_FINALIZE},
    {"answer lost, device error", CKR_DEVICE_ERROR, P11PROXY_DONE},
    {"answer lost, general error", CKR_GENERAL_ERROR, P11PROXY_DONE},
    {"removed", CKR_DEVICE_REMOVED, P11PROXY_REFUSE},
    {"not present", CKR_TOKEN_NOT_PRESENT, P11PROXY_REFUSE},
    {"token full", CKR_DEVICE_MEMORY, P11PROXY_REFUSE},
    {"out of memory", CKR_HOST_MEMORY, P11PROXY_REFUSE},
    {"logged out", CKR_USER_NOT_LOGGED_IN, P11PROXY_CLOSE},
};
enum { NSS_KINDS = 4 }; /* NSS makes keys twenty times slower: the first ones and wider strides */

static p11proxy_set_fn *proxy_set;
static p11proxy_state_fn *proxy_state;

/* Loads the proxy before the real module, and keeps it. */
static inline void proxy_load(void)
{
    void *library, *symbol;

    softhsm_find_module();
    ck_assert_int_eq(setenv("P11PROXY_MODULE", softhsm_module, 1), 0);
    library = dlopen(P11PROXY, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(library != NULL, "%s", dlerror());
    symbol = dlsym(library, "p11proxy_set");
    memcpy(&proxy_set, &symbol, sizeof proxy_set);
    symbol = dlsym(library, "p11proxy_state");
    memcpy(&proxy_state, &symbol, sizeof proxy_state);
    ck_assert(proxy_set && proxy_state);
}

/* As rig_start, behind the proxy. */
static inline void faulty_start(struct rig *r, const struct rig_order *order, int64_t count)
{
    proxy_load();
    rig_copy(r);
    strcpy(r->config.module, P11PROXY);
    rig_write_job(r, order);
    rig_open(r);
    if (count)
        rig_generate(r, count);
}

/* Call number at of function (NULL: of any) returns rv, and with for_ever each one after it. */
static inline void fault_at(const char *function, unsigned long at, CK_RV rv, bool for_ever)
{
    proxy_set(
        &(struct p11proxy_fault){.function = function, .at = at, .rv = rv, .for_ever = for_ever});
}

/* From now on no call fails. */
static inline void no_fault(void)
{
    proxy_set(NULL);
}

/* ---- what must hold after a fault, once the station has recovered ---- */

/* Nothing is left in the token but token objects: every session object was destroyed. */
static inline void assert_no_session_objects(struct rig *r, const char *after)
{
    struct error err = ERROR_INIT;
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session;
    CK_ULONG count;
    uint8_t byte;

    ASSERT_OK(hsm_random(r->hsm, &byte, 1, &err), err); /* the module may rest after a sealing */
    session = softhsm_session(p11);
    count = softhsm_session_objects(p11, session);
    ck_assert_msg(count == 0, "%lu session objects are left after %s", count, after);
    ck_assert_uint_eq(p11->C_CloseSession(session), CKR_OK);
}

/* The token remembers the newest entry of the ledger. */
static inline void assert_anchored(struct rig *r, const char *after)
{
    struct error err = ERROR_INIT;
    struct hsm_anchor anchor;
    sqlite3_stmt *s;

    ASSERT_OK(hsm_anchor_read(r->hsm, &anchor, &err), err);
    ASSERT_OK(sql_start(&r->store->sql, &err, &s,
                        "SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1", ""),
              err);
    ck_assert_int_eq(sql_next(&r->store->sql, s, &err), 1);
    ck_assert_msg((int64_t)anchor.sequence == sqlite3_column_int64(s, 0),
                  "the anchor is at %lu and the ledger at %lld after %s",
                  (unsigned long)anchor.sequence, (long long)sqlite3_column_int64(s, 0), after);
    ck_assert_mem_eq(anchor.head, sqlite3_column_blob(s, 1), sizeof anchor.head);
    sql_end(s);
}

/* ---- the sweep ---- */

struct sweep {
    const char *name;
    void (*prepare)(struct rig *r);              /* without faults; NULL: nothing to do */
    int (*body)(struct rig *r, struct error *e); /* with one fault */
    /* Without faults: the station recovers by itself. after names the fault for messages. */
    void (*verify)(struct rig *r, int rc, const char *after);
    unsigned long stride; /* 1: every call */
};

/* One run with fault number at; false when there was no such call. */
static inline bool fault_run(const struct sweep *s, struct rig *r, const struct fault_kind *kind,
                             unsigned long at)
{
    struct p11proxy_fault fault = {.at = at, .rv = kind->rv, .how = kind->how};
    struct error err = ERROR_INIT;
    struct p11proxy_state state;
    char after[160];
    int rc;

    if (s->prepare)
        s->prepare(r);
    proxy_set(&fault);
    rc = s->body(r, &err);
    state = proxy_state();
    no_fault();
    snprintf(after, sizeof after, "%s: %s in call %lu, %s", s->name, kind->name, at,
             state.function ? state.function : "none");
    ck_assert_msg(state.faults || rc == 0, "%s: %s: %s", after, error_name(rc), err.text);
    ck_assert_msg(rc == 0 || err.text[0], "%s: %s without a text", after, error_name(rc));
    if (getenv("IMPRINT_SWEEP_SHOW"))
        printf("%s: %s: %s\n", after, error_name(rc), err.text);
    s->verify(r, rc, after);
    return state.faults > 0;
}

/* 1 with IMPRINT_SWEEP=all, wider with "short". */
static inline unsigned long sweep_stride(unsigned long stride)
{
    if (sweep_is("all"))
        return 1;
    return sweep_is("short") ? 4 * stride : stride;
}

static inline void fault_sweep(const struct sweep *s, struct rig *r, const struct fault_kind *kind)
{
    unsigned long wide = softhsm_is_nss() ? 5 : 1;
    unsigned long stride = sweep_stride(wide * s->stride), at = 1, runs = 0;
    /* Each kind begins elsewhere, so that together they visit more calls. */
    unsigned long first = 1 + (unsigned long)(kind - fault_kinds) * stride /
                                  (sizeof fault_kinds / sizeof *fault_kinds);

    if (softhsm_is_nss() && kind - fault_kinds >= NSS_KINDS)
        return;
    for (at = first; fault_run(s, r, kind, at); at += stride)
        runs++;
    ck_assert_uint_gt(runs, 0);
    printf("%s, %s: %lu faults, every %lu. call up to call %lu\n", s->name, kind->name, runs,
           stride, at - 1);
}

#endif
