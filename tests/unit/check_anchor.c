/* The anchor on a real token: it never goes back, and survives what a crash does to it. */
#include "softhsm.h"

#include "hsm/anchor.h"

static struct hsm *h;
static struct error err = ERROR_INIT;

static struct hsm_anchor at(uint64_t sequence, uint8_t mark)
{
    struct hsm_anchor a = {.sequence = sequence};

    memset(a.head, mark, sizeof a.head);
    return a;
}

static void begin(void)
{
    struct hsm_anchor first = at(0, 0);

    h = softhsm_open();
    ASSERT_OK(hsm_anchor_create(h, &first, &err), err);
}

static void write_ok(uint64_t sequence, uint8_t mark)
{
    struct hsm_anchor a = at(sequence, mark);

    ASSERT_OK(hsm_anchor_write(h, &a, &err), err);
}

static void expect(uint64_t sequence, uint8_t mark)
{
    struct hsm_anchor got, want = at(sequence, mark);

    ASSERT_OK(hsm_anchor_read(h, &got, &err), err);
    ck_assert_uint_eq(got.sequence, want.sequence);
    ck_assert_mem_eq(got.head, want.head, sizeof want.head);
}

/* The object of one anchor, seen by somebody who has the PIN; 0 when there is none. */
static CK_OBJECT_HANDLE find(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session, const char *id)
{
    CK_ATTRIBUTE query = {CKA_ID, (void *)(uintptr_t)id, strlen(id)};
    CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
    CK_ULONG count;

    ck_assert_uint_eq(p11->C_FindObjectsInit(session, &query, 1), CKR_OK);
    ck_assert_uint_eq(p11->C_FindObjects(session, &found, 1, &count), CKR_OK);
    ck_assert_uint_eq(p11->C_FindObjectsFinal(session), CKR_OK);
    return count ? found : CK_INVALID_HANDLE;
}

static void destroy(const char *id)
{
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session = softhsm_session(p11);

    ck_assert_uint_eq(p11->C_DestroyObject(session, find(p11, session, id)), CKR_OK);
}

static void relabel(const char *id, const char *label)
{
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session = softhsm_session(p11);
    CK_ATTRIBUTE set = {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)};

    ck_assert_uint_eq(p11->C_SetAttributeValue(session, find(p11, session, id), &set, 1), CKR_OK);
}

START_TEST(the_newest_state_is_read_after_any_number_of_writes_and_a_restart)
{
    begin();
    expect(0, 0);
    for (uint64_t i = 1; i <= 7; i++) {
        write_ok(i, (uint8_t)i);
        expect(i, (uint8_t)i);
    }
    write_ok(7, 7); /* the same again */
    write_ok(UINT64_C(1) << 40, 9);
    hsm_close(h);
    h = softhsm_open();
    expect(UINT64_C(1) << 40, 9);
    hsm_close(h);
}
END_TEST

START_TEST(it_never_goes_back_and_is_made_once)
{
    struct hsm_anchor lower = at(4, 4), other = at(5, 6);

    begin();
    write_ok(5, 5);
    ASSERT_FAILS(hsm_anchor_write(h, &lower, &err), ERR_ROLLBACK);
    ASSERT_FAILS(hsm_anchor_write(h, &other, &err), ERR_ROLLBACK);
    ASSERT_FAILS(hsm_anchor_create(h, &lower, &err), ERR_EXISTS);
    expect(5, 5);
    hsm_close(h);
}
END_TEST

START_TEST(a_missing_one_is_made_again_from_the_other)
{
    static const char *const ids[] = {"anchor-0", "anchor-1"};

    begin();
    for (uint64_t i = 1; i < 6; i++) {
        struct hsm_anchor got;

        write_ok(2 * i, 1);
        destroy(ids[i % 2]);
        ASSERT_OK(hsm_anchor_read(h, &got, &err), err);
        /* Either the newest one survived, or the one before it. */
        ck_assert(got.sequence == 2 * i || got.sequence == 2 * i - 1 || got.sequence == 2 * i - 2);
        write_ok(2 * i + 1, 2);
        expect(2 * i + 1, 2);
    }
    hsm_close(h);
}
END_TEST

static const char *const torn[] = {
    "",
    "ia1:",
    "ia1:0000000000000009:00",
    "ia2:0000000000000009:1111111111111111111111111111111111111111111111111111111111111111",
    "ia1:000000000000000X:1111111111111111111111111111111111111111111111111111111111111111",
    "ia1:0000000000000009:1111111111111111111111111111111111111111111111111111111111111111x"};

START_TEST(a_torn_label_is_as_good_as_a_missing_one)
{
    begin();
    for (size_t i = 0; i < sizeof torn / sizeof *torn; i++) {
        struct hsm_anchor before, after;

        write_ok(10 * (i + 1), 1);
        write_ok(10 * (i + 1) + 1, 2);
        ASSERT_OK(hsm_anchor_read(h, &before, &err), err);
        relabel("anchor-0", torn[i]);
        ASSERT_OK(hsm_anchor_read(h, &after, &err), err);
        ck_assert_uint_ge(after.sequence, before.sequence - 1);
        ck_assert_uint_le(after.sequence, before.sequence);
    }
    write_ok(1000, 7);
    expect(1000, 7);
    hsm_close(h);
}
END_TEST

START_TEST(with_both_missing_nothing_is_issued)
{
    struct hsm_anchor got, next = at(9, 9);

    begin();
    write_ok(3, 3);
    destroy("anchor-0");
    destroy("anchor-1");
    ASSERT_FAILS(hsm_anchor_read(h, &got, &err), ERR_ROLLBACK);
    ASSERT_FAILS(hsm_anchor_write(h, &next, &err), ERR_ROLLBACK);
    hsm_close(h);
}
END_TEST

START_TEST(a_key_that_was_planted_beside_is_refused)
{
    CK_FUNCTION_LIST_PTR p11;
    CK_SESSION_HANDLE session;
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_BBOOL yes = CK_TRUE;
    CK_ULONG size = 32;
    CK_OBJECT_HANDLE key;
    char label[] =
        "ia1:00000000000000ff:1111111111111111111111111111111111111111111111111111111111111111";
    char id[] = "anchor-0";
    CK_ATTRIBUTE template[] = {{CKA_LABEL, label, sizeof label - 1},
                               {CKA_ID, id, sizeof id - 1},
                               {CKA_VALUE_LEN, &size, sizeof size},
                               {CKA_TOKEN, &yes, 1}};
    struct hsm_anchor got;

    begin();
    p11 = softhsm_raw();
    session = softhsm_session(p11);
    ck_assert_uint_eq(p11->C_GenerateKey(session, &mechanism, template, 4, &key), CKR_OK);
    if (softhsm_is_nss()) { /* it replaces a key by one of the same id */
        ASSERT_FAILS(hsm_anchor_read(h, &got, &err), ERR_HSM);
    } else {
        ASSERT_FAILS(hsm_anchor_read(h, &got, &err), ERR_ROLLBACK);
        destroy("anchor-0");
    }
    destroy("anchor-0");
    ck_assert_uint_eq(p11->C_GenerateKey(session, &mechanism, template, 4, &key), CKR_OK);
    ASSERT_FAILS(hsm_anchor_read(h, &got, &err), ERR_HSM); /* made with other attributes */
    hsm_close(h);
}
END_TEST

TOKEN_MAIN("anchor",
           ON_ANY(the_newest_state_is_read_after_any_number_of_writes_and_a_restart,
                  it_never_goes_back_and_is_made_once, a_missing_one_is_made_again_from_the_other,
                  a_torn_label_is_as_good_as_a_missing_one, with_both_missing_nothing_is_issued,
                  a_key_that_was_planted_beside_is_refused),
           ON_SOFTHSM(NULL))
