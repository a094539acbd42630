/* The anchor on a real token: it never goes back, and survives what a crash does to it. */
#include "softhsm.h"

#include "hsm/anchor.h"

#include <sys/wait.h>

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

/* ---- another process, between two writes ---- */

/*
 * It has the PIN and a module of its own, so nothing that this process remembers of the token helps
 * it. It is forked while no module is loaded and does one thing when it is told to.
 */
struct other {
    pid_t pid;
    int tell;
};

static struct other other_start(void (*act)(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session))
{
    CK_FUNCTION_LIST_PTR p11;
    struct other o;
    int pipe_fd[2];
    char told;

    ck_assert_int_eq(pipe(pipe_fd), 0);
    o = (struct other){fork(), pipe_fd[1]};
    ck_assert_int_ge(o.pid, 0);
    if (o.pid == 0) {
        close(pipe_fd[1]);
        if (read(pipe_fd[0], &told, 1) == 1) {
            p11 = softhsm_raw();
            act(p11, softhsm_raw_login(p11));
            (void)p11->C_Finalize(NULL);
        }
        _exit(0);
    }
    close(pipe_fd[0]);
    return o;
}

/* Lets it act, and waits until it did. */
static void other_act(struct other *o)
{
    int status;

    ck_assert_int_eq(write(o->tell, "!", 1), 1);
    close(o->tell);
    ck_assert_int_eq(waitpid(o->pid, &status, 0), o->pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void destroy_one(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session, const char *id)
{
    ck_assert_uint_eq(p11->C_DestroyObject(session, find(p11, session, id)), CKR_OK);
}

static void destroy_0(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session)
{
    destroy_one(p11, session, "anchor-0");
}

static void destroy_1(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session)
{
    destroy_one(p11, session, "anchor-1");
}

static void destroy_both(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session)
{
    destroy_0(p11, session);
    destroy_1(p11, session);
}

static void tear(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session, const char *id)
{
    CK_ATTRIBUTE set = {CKA_LABEL, (void *)(uintptr_t) "ia1:", 4};

    ck_assert_uint_eq(p11->C_SetAttributeValue(session, find(p11, session, id), &set, 1), CKR_OK);
}

static void tear_0(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session)
{
    tear(p11, session, "anchor-0");
}

static void tear_1(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session)
{
    tear(p11, session, "anchor-1");
}

/* One that is no anchor by its attributes, with the name and the label of one. */
static void replace(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session, const char *id)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_BBOOL yes = CK_TRUE;
    CK_ULONG size = 32;
    CK_OBJECT_HANDLE key;
    char label[] =
        "ia1:0000000000000002:0202020202020202020202020202020202020202020202020202020202020202";
    CK_ATTRIBUTE template[] = {{CKA_LABEL, label, sizeof label - 1},
                               {CKA_ID, (void *)(uintptr_t)id, strlen(id)},
                               {CKA_VALUE_LEN, &size, sizeof size},
                               {CKA_TOKEN, &yes, 1}};

    destroy_one(p11, session, id);
    ck_assert_uint_eq(p11->C_GenerateKey(session, &mechanism, template, 4, &key), CKR_OK);
}

static void replace_0(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session)
{
    replace(p11, session, "anchor-0");
}

static void replace_1(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session)
{
    replace(p11, session, "anchor-1");
}

/* Two writes, so that both keys are known; then the other process. */
static void begin_and_disturb(void (*act)(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session))
{
    struct other other = other_start(act);

    begin();
    write_ok(1, 1);
    write_ok(2, 2);
    other_act(&other);
}

static bool is_there(const char *id)
{
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();

    return find(p11, softhsm_session(p11), id) != CK_INVALID_HANDLE;
}

START_TEST(what_another_process_takes_away_between_two_writes_is_made_again)
{
    static void (*const acts[])(CK_FUNCTION_LIST_PTR p11,
                                CK_SESSION_HANDLE session) = {destroy_0, destroy_1, tear_0, tear_1};

    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        begin_and_disturb(acts[i]);
        write_ok(3, 3);
        ck_assert(is_there("anchor-0") && is_there("anchor-1"));
        write_ok(4, 4);
        hsm_close(h);
        h = softhsm_open();
        expect(4, 4);
        hsm_close(h);
        softhsm_teardown();
        softhsm_setup();
    }
}
END_TEST

START_TEST(what_another_process_put_in_their_place_is_refused_by_the_next_write)
{
    static void (*const acts[])(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session) = {replace_0,
                                                                                        replace_1};
    struct hsm_anchor next = at(3, 3);

    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        begin_and_disturb(acts[i]);
        ASSERT_FAILS(hsm_anchor_write(h, &next, &err), ERR_HSM);
        ASSERT_FAILS(hsm_anchor_write(h, &next, &err), ERR_HSM);
        hsm_close(h);
        softhsm_teardown();
        softhsm_setup();
    }
}
END_TEST

START_TEST(when_another_process_took_both_nothing_is_written)
{
    struct hsm_anchor next = at(3, 3);

    begin_and_disturb(destroy_both);
    ASSERT_FAILS(hsm_anchor_write(h, &next, &err), ERR_ROLLBACK);
    ASSERT_FAILS(hsm_anchor_write(h, &next, &err), ERR_ROLLBACK);
    hsm_close(h);
}
END_TEST

TOKEN_MAIN("anchor",
           ON_ANY(the_newest_state_is_read_after_any_number_of_writes_and_a_restart,
                  it_never_goes_back_and_is_made_once, a_missing_one_is_made_again_from_the_other,
                  a_torn_label_is_as_good_as_a_missing_one, with_both_missing_nothing_is_issued,
                  a_key_that_was_planted_beside_is_refused,
                  what_another_process_takes_away_between_two_writes_is_made_again,
                  what_another_process_put_in_their_place_is_refused_by_the_next_write,
                  when_another_process_took_both_nothing_is_written),
           ON_SOFTHSM(NULL))
