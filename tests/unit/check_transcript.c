/* The transcript of a ceremony against the token that it was made on, later. */
#include "vault_rig.h"

#include "hsm/policy.h"
#include "station/vault/transcript.h"

static const struct rig_order plain_order = {.lock = false};

/* What was found, as lines "kind key". */
struct found {
    char lines[2048];
    size_t count;
};

static void note_finding(void *context, enum hsm_finding_kind kind, const char *key,
                         const char *text)
{
    struct found *f = context;
    size_t used = strlen(f->lines);

    snprintf(f->lines + used, sizeof f->lines - used, "%s %s: %s\n", hsm_finding_name(kind), key,
             text);
    f->count++;
}

static void note_custodian(void *context, const char *name, const char *file)
{
    (void)context;
    ck_abort_msg("custodian %s %s of a ceremony without any", name, file);
}

static void check(struct rig *r, struct found *f)
{
    const struct transcript_listener listener = {note_finding, note_custodian, f};
    struct error err = ERROR_INIT;

    memset(f, 0, sizeof *f);
    ASSERT_OK(transcript_check(&r->config, r->store, r->hsm, &listener, &err), err);
}

static void destroy(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session, CK_OBJECT_CLASS class,
                    const char *label)
{
    CK_OBJECT_HANDLE object = softhsm_find(p11, session, class, label);

    ck_assert_uint_ne(object, CK_INVALID_HANDLE);
    ck_assert_uint_eq(p11->C_DestroyObject(session, object), CKR_OK);
}

/* A key that the policy has nothing against, in the place of the ceremony's. */
START_TEST(a_key_that_was_made_since_is_told)
{
    const struct key_policy *policy = &key_policies[_i];
    struct error err = ERROR_INIT;
    char expected[64];
    CK_FUNCTION_LIST_PTR p11;
    CK_SESSION_HANDLE session;
    struct found f;
    struct rig r;

    if (_i == HSM_KEY_LEDGER_HMAC)
        return; /* it has a test of its own */
    rig_start(&r, &plain_order, 0);
    check(&r, &f);
    ck_assert_msg(f.count == 0, "%s", f.lines);
    p11 = softhsm_raw();
    session = softhsm_session(p11);
    destroy(p11, session, policy->class, policy->label);
    if (policy->public_rows)
        destroy(p11, session, CKO_PUBLIC_KEY, policy->label);
    ASSERT_OK(hsm_recycle(r.hsm, &err), err);
    ASSERT_OK(hsm_key_create(r.hsm, (enum hsm_key)_i, &err), err);
    check(&r, &f);
    snprintf(expected, sizeof expected, "differs %s: it is another key", policy->label);
    ck_assert_msg(strstr(f.lines, expected) != NULL, "%s", f.lines);
    ck_assert_uint_eq(f.count, 1);
    rig_drop(&r);
}
END_TEST

/* Then no entry of the ledger verifies, the first one neither. */
START_TEST(another_ledger_key_makes_the_transcript_worth_nothing)
{
    struct error err = ERROR_INIT;
    CK_FUNCTION_LIST_PTR p11;
    struct found f;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    p11 = softhsm_raw();
    destroy(p11, softhsm_session(p11), CKO_SECRET_KEY, "ledger-hmac");
    ASSERT_OK(hsm_recycle(r.hsm, &err), err);
    ASSERT_OK(hsm_key_create(r.hsm, HSM_KEY_LEDGER_HMAC, &err), err);
    check(&r, &f);
    ck_assert_msg(strncmp(f.lines, "differs ceremony.json: ", 23) == 0, "%s", f.lines);
    rig_drop(&r);
}
END_TEST

START_TEST(an_anchor_that_moved_on_is_no_difference)
{
    struct found f;
    struct rig r;

    rig_start(&r, &plain_order, 3);
    check(&r, &f);
    ck_assert_msg(f.count == 0, "%s", f.lines);
    rig_end(&r);
}
END_TEST

RIG_MAIN("transcript",
         ((struct check_item){a_key_that_was_made_since_is_told, HSM_KEYS_OF_CEREMONY}),
         ONCE(another_ledger_key_makes_the_transcript_worth_nothing),
         ONCE(an_anchor_that_moved_on_is_no_difference))
