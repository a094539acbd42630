/* The ledger: what it tells of one credential, and users whose names no JSON text holds as they
 * are. */
#include "open_store.h"

#include <pwd.h>
#include <string.h>
#include <time.h>

static const char *user_name = "operator";

/* Takes the place of the system's: the user is whoever the test says. */
struct passwd *getpwuid(uid_t uid)
{
    static struct passwd user;

    (void)uid;
    user.pw_name = (char *)(uintptr_t)user_name;
    return user_name ? &user : NULL;
}

/* So is the time, once a test has set it. */
static time_t now;

time_t time(time_t *out)
{
    struct timespec real;

    clock_gettime(CLOCK_REALTIME, &real);
    if (out)
        *out = now ? now : real.tv_sec;
    return now ? now : real.tv_sec;
}

static const char *const users[] = {
    "operator", "DOMAIN\\user", "DOMAIN\\nobody", "o\"neill", "b\xc3\xb6rge", "a\tb", "", NULL,
};

START_TEST(a_user_of_any_name_leaves_entries_that_can_be_read)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    int64_t count = 0, known = 0;

    user_name = users[_i];
    ASSERT_OK(append(store, "generate", "{\"count\":0}", &err), err);
    ASSERT_OK(append(store, "claim", "{\"credential\":7}", &err), err);
    ASSERT_OK(ledger_expect(store, 7, "claim", &err), err);
    ASSERT_OK(sql_integer(&store->sql, &err, &known,
                          "SELECT count(*) FROM ledger WHERE json_valid(body)"
                          " AND json_extract(body, '$.by') IS NOT NULL",
                          ""),
              err);
    ck_assert_int_eq(known, 2);
    /* a claim without rows: the entry is counted, whoever wrote it */
    ASSERT_FAILS(ledger_verify(store, &count, &err), ERR_INTEGRITY);
    ck_assert_ptr_nonnull(strstr(err.text, "tells of 1 claims"));
    end(store);
}
END_TEST

START_TEST(the_newest_event_of_a_credential_is_the_one_that_counts)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;

    ASSERT_OK(append(store, "claim", "{\"credential\":7}", &err), err);
    ASSERT_OK(append(store, "claim", "{\"credential\":70}", &err), err);
    ASSERT_OK(append(store, "burned", "{\"credential\":7}", &err), err);
    ASSERT_OK(append(store, "seal", "{\"count\":1}", &err), err);
    ASSERT_OK(ledger_expect(store, 7, "burned", &err), err);
    ASSERT_OK(ledger_expect(store, 70, "claim", &err), err);
    ASSERT_OK(ledger_expect(store, 8, NULL, &err), err);
    ASSERT_FAILS(ledger_expect(store, 7, "claim", &err), ERR_INTEGRITY);
    ASSERT_FAILS(ledger_expect(store, 7, NULL, &err), ERR_INTEGRITY);
    ck_assert_ptr_nonnull(strstr(err.text, "'burned'"));
    ASSERT_FAILS(ledger_expect(store, 70, NULL, &err), ERR_INTEGRITY);
    ASSERT_FAILS(ledger_expect(store, 8, "claim", &err), ERR_INTEGRITY);
    end(store);
}
END_TEST

START_TEST(the_database_itself_refuses_to_tell_a_thing_twice)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;

    ASSERT_OK(append(store, "claim", "{\"credential\":7}", &err), err);
    ASSERT_FAILS(append(store, "claim", "{\"credential\":7}", &err), ERR_STORE);
    ASSERT_OK(append(store, "proven", "{\"credential\":7}", &err), err);
    ASSERT_FAILS(append(store, "proven", "{\"credential\":7}", &err), ERR_STORE);
    ASSERT_OK(append(store, "seal", "{\"count\":1}", &err), err);
    ASSERT_OK(append(store, "seal", "{\"count\":1}", &err), err);
    end(store);
}
END_TEST

/* The text of a member of the newest entry, or "-". */
static const char *newest(struct store *store, const char *member)
{
    static char text[512];
    struct error err = ERROR_INIT;
    sqlite3_stmt *s;

    ASSERT_OK(sql_start(&store->sql, &err, &s,
                        "SELECT ifnull(json_extract(body, ?), '-') FROM ledger"
                        " ORDER BY seq DESC LIMIT 1",
                        "t", member),
              err);
    ck_assert_int_eq(sql_next(&store->sql, s, &err), 1);
    ASSERT_OK(sql_text(s, 0, text, sizeof text, &err), err);
    sql_end(s);
    return text;
}

START_TEST(an_entry_says_who_and_why)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;

    ASSERT_OK(append(store, "seal", "{}", &err), err);
    ck_assert_str_eq(newest(store, "$.by"), "operator");
    ck_assert_str_eq(newest(store, "$.operator"), "-");
    ck_assert_str_eq(newest(store, "$.why"), "-");
    ASSERT_OK(store_set_actor(store, "Ada \"A\" \\ L", "label torn", &err), err);
    ASSERT_OK(append(store, "seal", "{}", &err), err);
    ck_assert_str_eq(newest(store, "$.by"), "operator");
    ck_assert_str_eq(newest(store, "$.operator"), "Ada \"A\" \\ L");
    ck_assert_str_eq(newest(store, "$.why"), "label torn");
    ASSERT_OK(store_set_actor(store, NULL, NULL, &err), err);
    ASSERT_OK(append(store, "seal", "{}", &err), err);
    ck_assert_str_eq(newest(store, "$.operator"), "-");
    end(store);
}
END_TEST

static const struct {
    size_t operator, reason; /* lengths; 0: empty */
    int code;
} actors[] = {{1, 1, 0},           {64, 256, 0},      {65, 1, ERR_USAGE},
              {1, 257, ERR_USAGE}, {0, 1, ERR_USAGE}, {1, 0, ERR_USAGE}};

START_TEST(names_and_reasons_have_bounds)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    char operator[300], reason[300];

    snprintf(operator, sizeof operator, "%0*d", (int)actors[_i].operator, 0);
    snprintf(reason, sizeof reason, "%0*d", (int)actors[_i].reason, 0);
    operator[actors[_i].operator] = 0;
    reason[actors[_i].reason] = 0;
    ck_assert_int_eq(store_set_actor(store, operator, reason, &err), actors[_i].code);
    ASSERT_FAILS(store_set_actor(store, "a\nb", NULL, &err), ERR_USAGE);
    ASSERT_FAILS(store_set_actor(store, "b\xc3\xb6rge", NULL, &err), ERR_USAGE);
    end(store);
}
END_TEST

START_TEST(times_never_go_back)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct ledger_head head;

    ASSERT_OK(ledger_head(store, &head, &err), err);
    ck_assert_int_eq(head.seq, 0);
    ck_assert_int_eq(head.at, 0);
    now = 1800000000;
    ASSERT_OK(append(store, "seal", "{}", &err), err);
    now -= 100;
    ASSERT_OK(append(store, "seal", "{}", &err), err);
    ck_assert_str_eq(newest(store, "$.at"), "2027-01-15T08:00:00Z");
    ASSERT_OK(ledger_head(store, &head, &err), err);
    ck_assert_int_eq(head.seq, 2);
    ck_assert_int_eq(head.at, 1800000000);
    now += 101;
    ASSERT_OK(append(store, "seal", "{}", &err), err);
    ck_assert_str_eq(newest(store, "$.at"), "2027-01-15T08:00:01Z");
    end(store);
}
END_TEST

static int collect(void *context, const struct ledger_entry *entry, struct error *err)
{
    char *seen = context;

    (void)err;
    snprintf(seen + strlen(seen), 16, "%d ", (int)entry->seq);
    return 0;
}

static const struct {
    struct ledger_filter filter;
    const char *found;
} questions[] = {
    {{NULL, NULL, 0}, "1 2 3 4 5 "},
    {{NULL, NULL, 2}, "4 5 "},
    {{NULL, NULL, 9}, "1 2 3 4 5 "},
    {{"generate", NULL, 0}, "1 2 "},
    {{"generate", NULL, 1}, "2 "},
    {{"none", NULL, 0}, ""},
    {{"none", NULL, 3}, ""},
    {{NULL, "P-1", 0}, "1 3 5 "},
    {{NULL, "P-3", 0}, "2 "},
    {{NULL, "P-2", 0}, "1 4 "},
    {{"claim", "P-1", 0}, "3 "},
    {{NULL, "P-1", 1}, "5 "},
    {{NULL, "P", 0}, ""},
};

START_TEST(entries_are_found_by_what_they_are_about)
{
    static const char *const entries[][2] = {{"generate", "{\"count\":2,\"first\":1}"},
                                             {"generate", "{\"count\":1,\"first\":3}"},
                                             {"claim", "{\"credential\":1,\"serial\":\"P-1\"}"},
                                             {"claim", "{\"credential\":2,\"serial\":\"P-2\"}"},
                                             {"proven", "{\"credential\":1,\"serial\":\"P-1\"}"}};
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    char seen[256] = "";

    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        ASSERT_OK(append(store, entries[i][0], entries[i][1], &err), err);
    ck_assert_int_eq(
        sqlite3_exec(
            store->sql.db,
            "PRAGMA foreign_keys=OFF; INSERT INTO credentials(id, order_id, product, serial,"
            " state, point, cert, wrapped_hash, storage, mechanism, mac) VALUES"
            " (1, 1, 'p', 'P-1', 0, '', '', '', '', 0, ''),"
            " (2, 1, 'p', 'P-2', 0, '', '', '', '', 0, ''),"
            " (3, 1, 'p', 'P-3', 0, '', '', '', '', 0, '')",
            NULL, NULL, NULL),
        SQLITE_OK);
    ASSERT_OK(ledger_find(store, &questions[_i].filter, collect, seen, &err), err);
    ck_assert_str_eq(seen, questions[_i].found);
    end(store);
}
END_TEST

START_TEST(a_part_is_verified_by_itself)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct ledger_part whole, tail;

    for (int i = 0; i < 4; i++)
        ASSERT_OK(append(store, "seal", "{}", &err), err);
    ASSERT_OK(ledger_verify_part(store, 1, &whole, &err), err);
    ASSERT_OK(ledger_verify_part(store, 3, &tail, &err), err);
    ck_assert_int_eq(whole.last, 4);
    ck_assert_int_eq(tail.first, 3);
    ck_assert_mem_eq(whole.head, tail.head, 32);
    ASSERT_FAILS(ledger_verify_part(store, 5, &tail, &err), ERR_MISSING);
    ck_assert_int_eq(sqlite3_exec(store->sql.db,
                                  "UPDATE ledger SET mac = zeroblob(32) WHERE seq = 2", NULL, NULL,
                                  NULL),
                     SQLITE_OK);
    ASSERT_OK(ledger_verify_part(store, 3, &tail, &err), err); /* not about entry 2 */
    ASSERT_FAILS(ledger_verify_part(store, 2, &tail, &err), ERR_INTEGRITY);
    ck_assert_int_eq(sqlite3_exec(store->sql.db,
                                  "UPDATE ledger SET hash = zeroblob(32) WHERE seq = 2", NULL, NULL,
                                  NULL),
                     SQLITE_OK);
    ASSERT_FAILS(ledger_verify_part(store, 3, &tail, &err), ERR_INTEGRITY);
    end(store);
}
END_TEST

static const struct {
    const char *data;
    int64_t anchored;
    int code;
} restores[] = {
    {"{\"anchored\":9}", 9, 0},             /* numbers 3 to 9 are lost */
    {"{\"anchored\":8}", 9, ERR_INTEGRITY}, /* tells of another number than its own */
    {"{}", 9, ERR_INTEGRITY},
    {"{\"anchored\":2}", 2, 0}, /* nothing is lost */
    {"{\"anchored\":1}", 1, 0}, /* the token was behind, as after a crash */
};

START_TEST(only_a_restore_may_leave_numbers_out)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct ledger_part part;
    struct buf data;

    buf_init(&data, 100);
    buf_put_str(&data, restores[_i].data);
    ASSERT_OK(append(store, "seal", "{}", &err), err);
    ASSERT_OK(append(store, "seal", "{}", &err), err);
    ASSERT_OK(ledger_append_restored(store, restores[_i].anchored, &data, &err), err);
    ASSERT_OK(append(store, "seal", "{}", &err), err);
    ASSERT_FAILS(ledger_verify_part(store, 1, &part, &err), restores[_i].code);
    if (restores[_i].code == 0) {
        ck_assert_int_eq(part.count, 4);
        ck_assert_int_eq(part.last, restores[_i].anchored == 9 ? 11 : 4);
        ASSERT_OK(ledger_verify_part(store, 3, &part, &err), err);
        ck_assert_int_eq(part.first, restores[_i].anchored == 9 ? 10 : 3);
        ck_assert_int_eq(
            sqlite3_exec(store->sql.db, "DELETE FROM ledger WHERE seq = 2", NULL, NULL, NULL),
            SQLITE_OK);
        ASSERT_FAILS(ledger_verify_part(store, 1, &part, &err), ERR_INTEGRITY);
    }
    buf_done(&data);
    end(store);
}
END_TEST

CHECK_ITEMS_MAIN("ledger", EACH_ROW(a_user_of_any_name_leaves_entries_that_can_be_read, users),
                 ONCE(the_newest_event_of_a_credential_is_the_one_that_counts),
                 ONCE(the_database_itself_refuses_to_tell_a_thing_twice),
                 ONCE(an_entry_says_who_and_why), EACH_ROW(names_and_reasons_have_bounds, actors),
                 ONCE(times_never_go_back),
                 EACH_ROW(entries_are_found_by_what_they_are_about, questions),
                 ONCE(a_part_is_verified_by_itself),
                 EACH_ROW(only_a_restore_may_leave_numbers_out, restores))
