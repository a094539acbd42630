/* The ledger: what it tells of one credential, and users whose names no JSON text holds as they
 * are. */
#include "check_util.h"

#include "base/file.h"
#include "pki/digest.h"
#include "station/store/ledger.h"
#include "station/store/sql.h"

#include <pwd.h>
#include <string.h>

static char dir[64];
static const char *user_name = "operator";

/* Takes the place of the system's: the user is whoever the test says. */
struct passwd *getpwuid(uid_t uid)
{
    static struct passwd user;

    (void)uid;
    user.pw_name = (char *)(uintptr_t)user_name;
    return user_name ? &user : NULL;
}

static int test_mac(void *context, const void *bytes, size_t len, uint8_t mac[32],
                    struct error *err)
{
    (void)context;
    (void)err;
    sha256(bytes, len, mac);
    return 0;
}

static struct store *open_new(void)
{
    struct error err = ERROR_INIT;
    struct store *store;
    char path[80];

    strcpy(dir, "/tmp/check_ledger_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/station.db", dir);
    ASSERT_OK(store_open(path, STORE_CREATE, &store, &err), err);
    store_set_mac(store, test_mac, NULL);
    return store;
}

static void end(struct store *store)
{
    struct error err = ERROR_INIT;

    store_close(store);
    ASSERT_OK(file_remove_tree(dir, &err), err);
}

static int append(struct store *store, const char *event, const char *json, struct error *err)
{
    struct buf data;
    int rc;

    buf_init(&data, 1000);
    buf_put_str(&data, json);
    rc = ledger_append(store, event, &data, err);
    buf_done(&data);
    return rc;
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
    ASSERT_OK(sql_integer(store, &err, &known,
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

CHECK_ITEMS_MAIN("ledger", EACH_ROW(a_user_of_any_name_leaves_entries_that_can_be_read, users),
                 ONCE(the_newest_event_of_a_credential_is_the_one_that_counts),
                 ONCE(the_database_itself_refuses_to_tell_a_thing_twice))
