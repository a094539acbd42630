/* People and their signatures: the table that an editor of the file cannot change, the lock that no
 * restart and no clock opens, and what an entry says. */
#include "open_store.h"

#include "station/vault/roster.h"
#include "station/vault/signing.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The time, once a test has set it. */
static time_t now;

time_t time(time_t *out)
{
    struct timespec real;

    clock_gettime(CLOCK_REALTIME, &real);
    if (out)
        *out = now ? now : real.tv_sec;
    return now ? now : real.tv_sec;
}

static struct secret *secret(const char *text)
{
    struct secret *s = secret_new(strlen(text));

    memcpy(secret_bytes(s), text, strlen(text));
    return s;
}

static int add(struct store *store, const char *name, enum person_role role, const char *badge,
               const char *pin, struct error *err)
{
    struct secret *b = secret(badge), *p = secret(pin);
    struct people people;
    int rc = people_load(store, &people, err);

    if (rc == 0)
        rc = roster_add(store, &people, name, role, b, p, err);
    people_done(&people);
    secret_free(b);
    secret_free(p);
    return rc;
}

static int set_pin(struct store *store, const char *name, const char *pin, struct error *err)
{
    struct secret *p = secret(pin);
    struct people people;
    int rc = people_load(store, &people, err);

    if (rc == 0)
        rc = roster_set_pin(store, &people, name, p, err);
    people_done(&people);
    secret_free(p);
    return rc;
}

static int remove_person(struct store *store, const char *name, struct error *err)
{
    struct people people;
    int rc = people_load(store, &people, err);

    if (rc == 0)
        rc = roster_remove(store, &people, name, err);
    people_done(&people);
    return rc;
}

static struct store_signature signature;

static int sign_for(struct store *store, const char *badge, const char *pin,
                    enum signing_action action, struct error *err)
{
    struct secret *b = secret(badge), *p = secret(pin);
    struct people people;
    int rc = people_load(store, &people, err);

    if (rc == 0)
        rc = signing_check(store, &people, b, p, action, &signature, err);
    people_done(&people);
    secret_free(b);
    secret_free(p);
    return rc;
}

static int sign(struct store *store, const char *pin, struct error *err)
{
    return sign_for(store, "BADGE-1", pin, SIGNING_VOID, err);
}

/* No power is cut here: what a killed process wrote is there without waiting for the disk. */
static void be_quick(struct store *store)
{
    ck_assert_int_eq(sqlite3_exec(store->sql.db, "PRAGMA synchronous = OFF", NULL, NULL, NULL),
                     SQLITE_OK);
}

static struct store *open_people(void)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;

    be_quick(store);
    ASSERT_OK(add(store, "Ada Byron", PERSON_SUPERVISOR, "BADGE-1", "271828", &err), err);
    ASSERT_OK(add(store, "Bo Diddley", PERSON_OPERATOR, "BADGE-2", "314159", &err), err);
    ASSERT_OK(add(store, "Cy Young", PERSON_ENGINEER, "BADGE-3", "161803", &err), err);
    return store;
}

static struct store *reopen(struct store *store)
{
    struct error err = ERROR_INIT;

    store_close(store);
    ASSERT_OK(store_open(path, STORE_WRITE, &store, &err), err);
    store_set_mac(store, test_mac, NULL);
    return store;
}

/* ---- the table ---- */

static void run_sql(struct store *store, const char *text)
{
    ck_assert_int_eq(sqlite3_exec(store->sql.db, text, NULL, NULL, NULL), SQLITE_OK);
}

/* What somebody with sqlite3 may try; old is the row of person 1 before his PIN was changed. */
static const char *const edits[] = {
    "UPDATE people SET role = 2 WHERE id = 2",
    "UPDATE people SET state = 1 WHERE id = 1",
    "UPDATE people SET name = 'Eve' WHERE id = 2",
    "UPDATE people SET badge = zeroblob(32) WHERE id = 2",
    "UPDATE people SET passes = 1 WHERE id = 2",
    "UPDATE people SET pin = (SELECT pin FROM people WHERE id = 2),"
    " salt = (SELECT salt FROM people WHERE id = 2) WHERE id = 1",
    "DELETE FROM people WHERE id = 3",
    "DELETE FROM people",
    "INSERT INTO people SELECT 4, 'Eve', 2, 0, zeroblob(32), salt, memory, passes, pin, mac"
    " FROM people WHERE id = 1",
    "DELETE FROM people WHERE id = 1; INSERT INTO people SELECT * FROM old WHERE id = 1",
};

START_TEST(an_edited_table_is_refused)
{
    struct store *store = open_people();
    struct error err = ERROR_INIT;
    struct people people;

    run_sql(store, "CREATE TEMP TABLE old AS SELECT * FROM people");
    ASSERT_OK(set_pin(store, "Ada Byron", "577215", &err), err);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        ASSERT_OK(people_load(store, &people, &err), err);
        ck_assert_uint_eq(people.count, 3);
        people_done(&people);
        run_sql(store, "BEGIN");
        run_sql(store, edits[i]);
        ASSERT_FAILS(people_load(store, &people, &err), ERR_INTEGRITY);
        ck_assert_ptr_nonnull(strstr(err.text, "security team"));
        people_done(&people);
        run_sql(store, "ROLLBACK");
    }
    end(store);
}
END_TEST

START_TEST(names_and_badges_are_given_once)
{
    static const char *const blanks[] = {" Bo Third", "Bo Third ", "Bo  Third", " "};
    struct store *store = open_people();
    struct error err = ERROR_INIT;

    ASSERT_OK(remove_person(store, "Bo Diddley", &err), err);
    ASSERT_FAILS(add(store, "bo diddley", PERSON_OPERATOR, "BADGE-4", "141421", &err),
                 ERR_DUPLICATE);
    ASSERT_FAILS(add(store, "Bodid Dley", PERSON_OPERATOR, "BADGE-4", "141421", &err),
                 ERR_DUPLICATE);
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++)
        ASSERT_FAILS(add(store, blanks[i], PERSON_OPERATOR, "BADGE-4", "141421", &err), ERR_USAGE);
    ASSERT_FAILS(add(store, "Bo Second", PERSON_OPERATOR, "BADGE-2", "141421", &err),
                 ERR_DUPLICATE);
    ASSERT_OK(add(store, "Bo Second", PERSON_OPERATOR, "BADGE-4", "141421", &err), err);
    ASSERT_FAILS(sign_for(store, "BADGE-2", "314159", SIGNING_PIN, &err), ERR_PIN);
    ASSERT_FAILS(remove_person(store, "Bo Diddley", &err), ERR_MISSING);
    end(store);
}
END_TEST

START_TEST(a_supervisor_is_first_and_last)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;

    ASSERT_FAILS(add(store, "Cy Young", PERSON_ENGINEER, "BADGE-3", "161803", &err), ERR_REFUSED);
    ASSERT_OK(add(store, "Ada Byron", PERSON_SUPERVISOR, "BADGE-1", "271828", &err), err);
    ASSERT_FAILS(remove_person(store, "Ada Byron", &err), ERR_REFUSED);
    ASSERT_OK(add(store, "Eve Online", PERSON_SUPERVISOR, "BADGE-2", "314159", &err), err);
    ASSERT_OK(remove_person(store, "Ada Byron", &err), err);
    ASSERT_FAILS(remove_person(store, "Eve Online", &err), ERR_REFUSED);
    end(store);
}
END_TEST

static const char *const bad_pins[] = {
    "12345", "1111111", "12345678901234567890123456789012345678901234567890123456789012345"};

START_TEST(a_poor_pin_is_refused)
{
    struct store *store = open_people();
    struct error err = ERROR_INIT;

    ASSERT_FAILS(set_pin(store, "Ada Byron", bad_pins[_i], &err), ERR_USAGE);
    ASSERT_OK(sign(store, "271828", &err), err);
    end(store);
}
END_TEST

/* ---- who may sign for what ---- */

static const struct {
    enum signing_action action;
    bool may[4]; /* by role */
} may_sign[] = {
    {SIGNING_VOID, {false, false, true, false}},   {SIGNING_REWORK, {false, false, true, false}},
    {SIGNING_CLOSE, {false, false, true, false}},  {SIGNING_CLOCK, {false, false, true, false}},
    {SIGNING_PEOPLE, {false, false, true, false}}, {SIGNING_ROTATE, {false, false, false, true}},
    {SIGNING_CA, {false, false, false, true}},     {SIGNING_COUNTER, {false, false, false, true}},
    {SIGNING_DROP, {false, false, true, false}},   {SIGNING_PIN, {false, true, true, true}},
    {SIGNING_SLOTS, {false, false, true, true}},
};

static void check_roles(struct store *store, enum signing_action action, const bool may[4])
{
    static const char *const badges[] = {NULL, "BADGE-2", "BADGE-1", "BADGE-3"};
    static const char *const pins[] = {NULL, "314159", "271828", "161803"};
    struct error err = ERROR_INIT;

    for (int role = PERSON_OPERATOR; role <= PERSON_ENGINEER; role++) {
        signature.person = 0;
        if (may[role]) {
            ASSERT_OK(sign_for(store, badges[role], pins[role], action, &err), err);
            ck_assert_str_eq(signature.role, person_role_name((enum person_role)role));
        } else {
            ASSERT_FAILS(sign_for(store, badges[role], pins[role], action, &err), ERR_REFUSED);
            ck_assert_int_eq(signature.person, 0);
        }
    }
}

START_TEST(each_role_signs_for_what_is_its_own)
{
    struct store *store = open_people();

    ck_assert_uint_eq(sizeof may_sign / sizeof *may_sign, SIGNING_ACTIONS);
    for (size_t i = 0; i < sizeof may_sign / sizeof *may_sign; i++)
        check_roles(store, may_sign[i].action, may_sign[i].may);
    end(store);
}
END_TEST

/* ---- wrong PINs ---- */

static void give_wrong(struct store *store, int count)
{
    struct error err = ERROR_INIT;

    for (int i = 0; i < count; i++)
        ASSERT_FAILS(sign(store, "000001", &err), ERR_PIN);
}

START_TEST(the_lock_survives_a_restart_and_a_supervisor_ends_it)
{
    struct store *store = open_people();
    struct error err = ERROR_INIT;

    give_wrong(store, SIGNING_TRIES - 1);
    ASSERT_OK(sign(store, "271828", &err), err); /* and counting begins anew */
    give_wrong(store, SIGNING_TRIES);
    store = reopen(store);
    ASSERT_FAILS(sign(store, "271828", &err), ERR_PIN);
    ck_assert_ptr_nonnull(strstr(err.text, "locked until"));
    ASSERT_OK(sign_for(store, "BADGE-2", "314159", SIGNING_PIN, &err), err); /* another's is free */
    ASSERT_OK(set_pin(store, "Ada Byron", "577215", &err), err);
    ASSERT_OK(sign(store, "577215", &err), err);
    end(store);
}
END_TEST

/* The HSM's MAC, and the end of the process when it is asked to judge a PIN. */
static int deadly_mac(void *context, const void *bytes, size_t len, uint8_t mac[32],
                      struct error *err)
{
    if (len == sizeof "imprint pin v1" + 32)
        _exit(7);
    return test_mac(context, bytes, len, mac, err);
}

static void try_and_die(void)
{
    struct error err = ERROR_INIT;
    struct store *store;

    if (store_open(path, STORE_WRITE, &store, &err))
        _exit(1);
    store_set_mac(store, deadly_mac, NULL);
    (void)!sign(store, "000001", &err);
    _exit(2);
}

START_TEST(a_killed_attempt_is_counted)
{
    struct store *store = open_people();
    struct person_tries tries;
    struct error err = ERROR_INIT;
    int status;

    store_close(store);
    for (int i = 0; i < SIGNING_TRIES; i++) {
        pid_t pid = fork();

        if (pid == 0)
            try_and_die();
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(WEXITSTATUS(status), 7);
    }
    ASSERT_OK(store_open(path, STORE_WRITE, &store, &err), err);
    store_set_mac(store, test_mac, NULL);
    ASSERT_OK(person_tries(store, 1, &tries, &err), err);
    ck_assert_int_eq(tries.wrong, SIGNING_TRIES);
    ASSERT_FAILS(sign(store, "271828", &err), ERR_PIN);
    end(store);
}
END_TEST

#define T0 2000000000

START_TEST(a_clock_that_jumps_opens_no_lock_early)
{
    struct store *store = NULL;
    struct error err = ERROR_INIT;

    now = T0;
    store = open_people();
    give_wrong(store, SIGNING_TRIES);
    now = T0 - 365 * 86400;
    ASSERT_FAILS(sign(store, "271828", &err), ERR_PIN);
    now = T0 + SIGNING_LOCK - 1;
    ASSERT_FAILS(sign(store, "271828", &err), ERR_PIN);
    now = T0 + SIGNING_LOCK;
    give_wrong(store, 1); /* one more, and twice the time */
    now += 2 * SIGNING_LOCK - 1;
    ASSERT_FAILS(sign(store, "271828", &err), ERR_PIN);
    now += 1;
    ASSERT_OK(sign(store, "271828", &err), err);
    end(store);
}
END_TEST

static const struct {
    int64_t wrong, locked;
} locks[] = {
    {0, 0},    {4, 0},      {5, 900},    {6, 1800},   {7, 3600},
    {8, 7200}, {11, 57600}, {12, 86400}, {13, 86400}, {INT64_C(1) << 40, 86400},
};

START_TEST(each_further_wrong_pin_locks_for_twice_as_long)
{
    struct person_tries tries = {locks[_i].wrong, T0};

    ck_assert_int_eq(signing_locked_until(&tries), locks[_i].locked ? T0 + locks[_i].locked : 0);
}
END_TEST

/* ---- what is written ---- */

static void newest(struct store *store, const char *member, char out[128])
{
    struct error err = ERROR_INIT;
    sqlite3_stmt *s;

    ck_assert_int_eq(sql_row(&store->sql, &err, &s,
                             "SELECT ifnull(json_extract(body, ?), '') FROM ledger"
                             " ORDER BY seq DESC LIMIT 1",
                             "t", member),
                     1);
    ASSERT_OK(sql_text(s, 0, out, 128, &err), err);
    sql_end(s);
}

START_TEST(an_entry_says_who_signed_when_and_for_what)
{
    static const struct {
        const char *member, *value;
    } said[] = {
        {"$.signature.name", "Ada Byron"},
        {"$.signature.role", "supervisor"},
        {"$.signature.meaning", "void: burned"},
        {"$.signature.at", "2033-05-18T03:33:20Z"},
        {"$.operator", "Ada Byron"},
        {"$.why", "fell down"},
    };
    struct store *store = NULL;
    struct error err = ERROR_INIT;
    struct ledger_part part;
    char text[128];

    now = T0;
    store = open_people();
    ASSERT_OK(sign(store, "271828", &err), err);
    newest(store, "$.signature.name", text);
    ck_assert_str_eq(text, ""); /* nothing is signed yet */
    ASSERT_OK(store_set_actor(store, NULL, "fell down", &err), err);
    store_sign(store, &signature);
    ASSERT_OK(append(store, "burned", "{\"credential\":7}", &err), err);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        newest(store, said[i].member, text);
        ck_assert_str_eq(text, said[i].value);
    }
    ASSERT_OK(ledger_verify_part(store, 1, &part, &err), err);
    ck_assert_int_eq(sqlite3_exec(store->sql.db,
                                  "UPDATE ledger SET body = replace(body, '\"name\":\"Ada Byron\"',"
                                  " '\"name\":\"Bo Diddley\"') WHERE seq = (SELECT max(seq) FROM"
                                  " ledger)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ASSERT_FAILS(ledger_verify_part(store, 1, &part, &err), ERR_INTEGRITY);
    end(store);
}
END_TEST

START_TEST(the_file_holds_neither_pin_nor_badge)
{
    static const char *const secrets[] = {"BADGE-1", "271828", "999331"};
    struct store *store = open_people();
    struct error err = ERROR_INIT;
    struct buf file;

    ASSERT_FAILS(sign(store, "999331", &err), ERR_PIN);
    ASSERT_OK(sign(store, "271828", &err), err);
    store_close(store);
    buf_init(&file, 10000000);
    ASSERT_OK(file_read(path, &file, &err), err);
    ck_assert_ptr_nonnull(memmem(file.data, file.len, "Ada Byron", 9));
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        ck_assert_ptr_null(memmem(file.data, file.len, secrets[i], strlen(secrets[i])));
    buf_done(&file);
    end(NULL);
}
END_TEST

/* ---- a file with both ---- */

static const struct {
    const char *text;
    int code;
} files[] = {
    {"BADGE-1\n271828\n", 0},  {"BADGE-1\r\n271828\r\n", 0},     {"BADGE-1\n271828", 0},
    {"BADGE-1\n271828\nx", 0}, {"BADGE-1\n", ERR_PIN},           {"BADGE-1", ERR_PIN},
    {"\n271828\n", ERR_PIN},   {"BADGE-1\n\n271828\n", ERR_PIN}, {"", ERR_PIN},
};

START_TEST(a_file_has_a_badge_and_a_pin)
{
    char name[] = "/tmp/check_badge_XXXXXX";
    int fd = mkstemp(name);
    size_t len = strlen(files[_i].text);
    struct secret *badge = NULL, *pin = NULL;
    struct error err = ERROR_INIT;

    ck_assert_int_eq(write(fd, files[_i].text, len), (ssize_t)len);
    close(fd);
    ck_assert_int_eq(secret_read_badge_file(name, &badge, &pin, &err), files[_i].code);
    ck_assert_int_eq(badge != NULL, files[_i].code == 0);
    ck_assert_int_eq(pin != NULL, files[_i].code == 0);
    if (pin) {
        ck_assert_uint_eq(secret_len(badge), 7);
        ck_assert_mem_eq(secret_bytes(badge), "BADGE-1", 7);
        ck_assert_uint_eq(secret_len(pin), 6);
        ck_assert_mem_eq(secret_bytes(pin), "271828", 6);
    }
    secret_free(badge);
    secret_free(pin);
    unlink(name);
}
END_TEST

CHECK_ITEMS_MAIN("people", EACH_ROW(a_file_has_a_badge_and_a_pin, files),
                 ONCE(an_edited_table_is_refused), ONCE(names_and_badges_are_given_once),
                 ONCE(a_supervisor_is_first_and_last), EACH_ROW(a_poor_pin_is_refused, bad_pins),
                 ONCE(each_role_signs_for_what_is_its_own),

                 ONCE(the_lock_survives_a_restart_and_a_supervisor_ends_it),
                 ONCE(a_killed_attempt_is_counted), ONCE(a_clock_that_jumps_opens_no_lock_early),
                 EACH_ROW(each_further_wrong_pin_locks_for_twice_as_long, locks),
                 ONCE(an_entry_says_who_signed_when_and_for_what),
                 ONCE(the_file_holds_neither_pin_nor_badge))
