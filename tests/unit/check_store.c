/* The store: a real SQLite file in a temporary directory. */
#include "open_store.h"

#include "station/store/claims.h"
#include "station/store/whitelist.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void fill_claim(struct claim *c, uint8_t mark, int64_t credential)
{
    claim_init(c);
    memset(c->tx, mark, sizeof c->tx);
    memset(c->dev_pub, mark, sizeof c->dev_pub);
    memset(c->chip, mark, 8);
    c->chip_len = 8;
    c->credential = credential;
    c->suite = 1;
    strcpy(c->slot, "A1");
    strcpy(c->fw_version, "1.0");
    buf_put_str(&c->x, "transcript");
    buf_put_str(&c->wrapped, "blob");
}

START_TEST(an_empty_inventory_is_exhausted)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct credential c;

    generate(store, 0);
    credential_init(&c);
    ASSERT_FAILS(credential_pick(store, 1, &c, &err), ERR_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(err.text, "imprint generate"));
    credential_done(&c);
    end(store);
}
END_TEST

START_TEST(credentials_are_picked_in_order_and_counted_by_state)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct inventory_counts counts;
    struct credential c;

    generate(store, 3);
    credential_init(&c);
    ASSERT_OK(credential_pick(store, 1, &c, &err), err);
    ck_assert_str_eq(c.serial, "P-0001");
    ASSERT_OK(credential_set_state(store, 1, CREDENTIAL_CLAIMED, &err), err);
    ASSERT_OK(credential_pick(store, 1, &c, &err), err);
    ck_assert_str_eq(c.serial, "P-0002");
    ASSERT_OK(credential_set_state(store, 1, CREDENTIAL_PROVEN, &err), err);
    ASSERT_OK(inventory_count(store, 1, &counts, &err), err);
    ck_assert_int_eq(counts.by_state[CREDENTIAL_AVAILABLE], 2);
    ck_assert_int_eq(counts.by_state[CREDENTIAL_CLAIMED], 0);
    ck_assert_int_eq(counts.by_state[CREDENTIAL_PROVEN], 1);
    ASSERT_OK(credential_get(store, 1, &c, &err), err);
    ck_assert_uint_eq(c.wrapped.len, 0);
    credential_done(&c);
    end(store);
}
END_TEST

START_TEST(a_serial_or_key_that_is_known_is_refused)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct credential c;
    struct key_hash hash;

    generate(store, 1);
    credential_init(&c);
    ASSERT_OK(credential_get(store, 1, &c, &err), err);
    c.id = 2;
    ASSERT_FAILS(credential_add(store, &c, &err), ERR_DUPLICATE);
    ck_assert_ptr_nonnull(strstr(err.text, "P-0001"));
    strcpy(c.serial, "P-0002");
    ASSERT_OK(credential_add(store, &c, &err), err);
    hash = key_hash_of(&c.key, c.id);
    ASSERT_FAILS(key_index_add(store, &hash, 1, &err), ERR_DUPLICATE);
    credential_done(&c);
    end(store);
}
END_TEST

static const char *const row_changes[] = {
    "UPDATE credentials SET serial = 'P-9999'", "UPDATE credentials SET wrapped = x'00'",
    "UPDATE credentials SET cert = x'00'",      "UPDATE credentials SET point = zeroblob(65)",
    "UPDATE credentials SET storage = 'other'", "UPDATE credentials SET id = 7",
    "UPDATE orders SET hash = zeroblob(32)",
};

START_TEST(a_row_that_was_changed_is_not_issued)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct credential c;

    generate(store, 1);
    ck_assert_int_eq(sqlite3_exec(store->sql.db, row_changes[_i], NULL, NULL, NULL), SQLITE_OK);
    credential_init(&c);
    ASSERT_FAILS(credential_pick(store, 1, &c, &err), ERR_INTEGRITY);
    credential_done(&c);
    end(store);
}
END_TEST

START_TEST(a_claim_is_found_by_each_of_its_names_and_comes_back_whole)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct claim c, got;
    bool found;

    generate(store, 1);
    fill_claim(&c, 5, 1);
    ASSERT_OK(claim_add(store, &c, &err), err);
    claim_init(&got);
    ASSERT_OK(claim_by_tx(store, c.tx, &got, &found, &err), err);
    ck_assert(found);
    ck_assert_mem_eq(got.dev_pub, c.dev_pub, sizeof c.dev_pub);
    ck_assert_uint_eq(got.x.len, c.x.len);
    ck_assert_uint_eq(got.wrapped.len, 4);
    ck_assert_uint_eq(got.fw_hash.len, 0);
    ASSERT_OK(claim_by_dev_pub(store, c.dev_pub, &got, &found, &err), err);
    ck_assert(found);
    ASSERT_OK(claim_by_chip(store, c.chip, c.chip_len, &got, &found, &err), err);
    ck_assert(found);
    ASSERT_OK(claim_set_state(store, c.tx, CLAIM_BURNED, &err), err);
    ASSERT_OK(claim_by_chip(store, c.chip, c.chip_len, &got, &found, &err), err);
    ck_assert(!found);
    ASSERT_OK(claim_by_tx(store, c.tx, &got, &found, &err), err);
    ck_assert(found);
    ck_assert_uint_eq(got.wrapped.len, 0);
    claim_done(&c);
    claim_done(&got);
    end(store);
}
END_TEST

START_TEST(a_claim_whose_every_column_is_as_long_as_it_may_be_is_kept)
{
    static const uint8_t bytes[CLAIM_ATTESTATION_MAX];
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct claim c, got;
    bool found;

    generate(store, 1);
    fill_claim(&c, 5, 1);
    memset(memset(c.slot, 0, sizeof c.slot), 'S', sizeof c.slot - 1);
    memset(memset(c.fw_version, 0, sizeof c.fw_version), 'v', sizeof c.fw_version - 1);
    c.chip_len = sizeof c.chip;
    buf_reset(&c.x);
    buf_put(&c.x, bytes, CLAIM_X_MAX);
    buf_reset(&c.fw_hash);
    buf_put(&c.fw_hash, bytes, IMPRINT_HASH_SIZE);
    buf_reset(&c.attestation);
    buf_put(&c.attestation, bytes, CLAIM_ATTESTATION_MAX);
    ASSERT_OK(claim_add(store, &c, &err), err);
    claim_init(&got);
    ASSERT_OK(claim_by_tx(store, c.tx, &got, &found, &err), err);
    ck_assert(found);
    ck_assert_uint_eq(got.attestation.len, CLAIM_ATTESTATION_MAX);
    claim_done(&c);
    claim_done(&got);
    end(store);
}
END_TEST

START_TEST(the_database_itself_refuses_a_second_claim)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct claim c, again;

    generate(store, 2);
    fill_claim(&c, 5, 1);
    ASSERT_OK(claim_add(store, &c, &err), err);
    fill_claim(&again, 6, 1); /* the same credential */
    ASSERT_FAILS(claim_add(store, &again, &err), ERR_DUPLICATE);
    again.credential = 2;
    memcpy(again.dev_pub, c.dev_pub, sizeof c.dev_pub); /* the same transport key */
    ASSERT_FAILS(claim_add(store, &again, &err), ERR_DUPLICATE);
    memset(again.dev_pub, 6, sizeof again.dev_pub);
    memcpy(again.chip, c.chip, 8); /* the same chip */
    ASSERT_FAILS(claim_add(store, &again, &err), ERR_DUPLICATE);
    memset(again.chip, 6, 8);
    ASSERT_OK(claim_add(store, &again, &err), err);
    claim_done(&c);
    claim_done(&again);
    end(store);
}
END_TEST

START_TEST(a_ledger_that_was_not_touched_verifies)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    int64_t count = 0;

    generate(store, 3);
    generate(store, 2);
    ASSERT_OK(ledger_verify(store, &count, &err), err);
    ck_assert_int_eq(count, 2);
    end(store);
}
END_TEST

static const struct {
    const char *change;
    const char *expected;
} ledger_changes[] = {
    {"UPDATE ledger SET body = replace(body, '3', '4') WHERE seq = 1", "entry 1 was changed"},
    {"UPDATE ledger SET body = replace(body, 'generate', 'generatE') WHERE seq = 2",
     "entry 2 was changed"},
    {"UPDATE ledger SET hash = zeroblob(32) WHERE seq = 2", "entry 2 was changed"},
    {"UPDATE ledger SET mac = zeroblob(32) WHERE seq = 2", "entry 2 was not written by this"},
    {"DELETE FROM ledger WHERE seq = 1", "entry 1 is missing"},
    {"DELETE FROM ledger WHERE seq = 2", "the ledger tells of 3 credentials"},
    {"UPDATE ledger SET seq = 9 WHERE seq = 2", "entry 2 is missing"},
    {"INSERT INTO ledger SELECT 3, body, hash, mac FROM ledger WHERE seq = 2",
     "entry 3 was changed"},
    {"DELETE FROM credentials WHERE id = 5", "tells of 5 credentials and the database holds 4"},
    {"UPDATE credentials SET state = 2; INSERT INTO claims SELECT x'01', 1, 1, 'A', x'02', x'03',"
     " x'04', 1, x'05', x'06', x'07', NULL, '', x'', 0, x'', NULL, 0, x'08', NULL, NULL",
     "claims"},
};

START_TEST(a_ledger_that_was_changed_does_not_verify)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    int64_t count = 0;

    generate(store, 3);
    generate(store, 2);
    ck_assert_int_eq(sqlite3_exec(store->sql.db, ledger_changes[_i].change, NULL, NULL, NULL),
                     SQLITE_OK);
    ASSERT_FAILS(ledger_verify(store, &count, &err), ERR_INTEGRITY);
    ck_assert_msg(strstr(err.text, ledger_changes[_i].expected) != NULL, "'%s' lacks '%s'",
                  err.text, ledger_changes[_i].expected);
    end(store);
}
END_TEST

START_TEST(records_keep_their_index_and_come_back_in_order)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct buf line, evidence;
    int64_t size;

    buf_init(&line, 100);
    buf_init(&evidence, 100);
    for (int i = 0; i < 3; i++) {
        buf_reset(&line);
        buf_printf(&line, "line %d", i);
        ASSERT_OK(whitelist_add(store, &line, &evidence, &err), err);
    }
    ASSERT_OK(whitelist_size(store, &size, &err), err);
    ck_assert_int_eq(size, 3);
    buf_done(&line);
    buf_done(&evidence);
    end(store);
}
END_TEST

START_TEST(a_sealing_is_journalled_step_by_step)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    struct sealing s, got;
    bool found;

    sealing_init(&s);
    sealing_init(&got);
    ASSERT_OK(sealing_last(store, &got, &found, &err), err);
    ck_assert(!found);
    s.seq = 1;
    s.count = 5;
    s.created = 1700000000;
    buf_put_str(&s.totals, "{}");
    ASSERT_OK(sealing_add(store, &s, &err), err);
    buf_put_str(&s.statement, "{\"a\":1}");
    s.published = true;
    ASSERT_OK(sealing_update(store, &s, &err), err);
    ASSERT_OK(sealing_last(store, &got, &found, &err), err);
    ck_assert(found && got.published);
    ck_assert_int_eq(got.count, 5);
    ck_assert_uint_eq(got.root.len, 0);
    ck_assert_mem_eq(got.statement.data, s.statement.data, s.statement.len);
    sealing_done(&s);
    sealing_done(&got);
    end(store);
}
END_TEST

START_TEST(a_second_vault_is_refused_while_the_first_lives)
{
    struct store *store = open_new(), *second, *reader;
    struct error err = ERROR_INIT;

    ASSERT_FAILS(store_open(path, STORE_WRITE, &second, &err), ERR_BUSY);
    ASSERT_FAILS(store_open(path, STORE_CREATE, &second, &err), ERR_EXISTS);
    ASSERT_OK(store_open(path, STORE_READ, &reader, &err), err);
    ASSERT_FAILS(credential_set_state(reader, 1, CREDENTIAL_PROVEN, &err), ERR_READONLY);
    store_close(reader);
    end(store);
}
END_TEST

START_TEST(a_file_of_a_newer_program_or_no_database_is_refused)
{
    struct store *store = open_new(), *again;
    struct error err = ERROR_INIT;

    ck_assert_int_eq(sqlite3_exec(store->sql.db, "PRAGMA user_version = 99", NULL, NULL, NULL), 0);
    store_close(store);
    ASSERT_FAILS(store_open(path, STORE_WRITE, &again, &err), ERR_STORE);
    ck_assert_ptr_nonnull(strstr(err.text, "version 99"));
    ASSERT_OK(file_write(path, "not a database at all, only text", 32, 0600, &err), err);
    ASSERT_FAILS(store_open(path, STORE_WRITE, &again, &err), ERR_STORE);
    ck_assert_int_eq(unlink(path), 0);
    ASSERT_FAILS(store_open(path, STORE_WRITE, &again, &err), ERR_MISSING);
    end(NULL);
}
END_TEST

/* What version 1 did not have, undone; its own index on serials, which allowed none twice. */
static const char back_to_1[] =
    "DROP TABLE requests; DROP INDEX ledger_request; DROP TABLE spare_keys; DROP INDEX "
    "credentials_live; DROP INDEX credentials_serial;"
    "DROP INDEX attempts_tx; DROP TABLE keygens;"
    "CREATE UNIQUE INDEX credentials_serial ON credentials(product, serial);"
    "DROP INDEX ledger_key; DROP INDEX ledger_issuers;"
    "DROP TABLE people; DROP INDEX ledger_people; DROP TABLE outbox; DROP TABLE outbox_failures;"
    "DROP INDEX ledger_derived; ALTER TABLE claims DROP COLUMN kcv;"
    "ALTER TABLE claims DROP COLUMN symmetric;"
    "DROP TABLE slots; DROP INDEX attempts_next; ALTER TABLE attempts DROP COLUMN next;"
    "PRAGMA user_version = 1;";

START_TEST(a_database_of_version_1_is_brought_to_this_one)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    int64_t count = 0;

    generate(store, 3);
    ck_assert_int_eq(sqlite3_exec(store->sql.db, back_to_1, NULL, NULL, NULL), SQLITE_OK);
    store_close(store);
    ASSERT_FAILS(store_open(path, STORE_READ, &store, &err), ERR_STORE);
    ck_assert_ptr_nonnull(strstr(err.text, "a command that writes brings it up to date"));
    ASSERT_OK(store_open(path, STORE_WRITE, &store, &err), err);
    store_set_mac(store, test_mac, NULL);
    ASSERT_OK(ledger_verify(store, &count, &err), err);
    ASSERT_OK(sql_integer(&store->sql, &err, &count, "SELECT count(*) FROM credentials", ""), err);
    ck_assert_int_eq(count, 3);
    ASSERT_OK(sql_integer(&store->sql, &err, &count,
                          "SELECT count(*) FROM sqlite_master WHERE name IN"
                          " ('spare_keys', 'spare_keys_state', 'credentials_live', 'attempts_tx',"
                          " 'keygens', 'keygens_chip', 'requests', 'ledger_request', 'outbox',"
                          " 'outbox_failures')",
                          ""),
              err);
    ck_assert_int_eq(count, 10);
    ASSERT_OK(sql_integer(&store->sql, &err, &count,
                          "SELECT count(*) FROM pragma_table_info('claims') WHERE name IN"
                          " ('kcv', 'symmetric')",
                          ""),
              err);
    ck_assert_int_eq(count, 2);
    store_close(store);
    ASSERT_OK(store_open(path, STORE_READ, &store, &err), err);
    end(store);
}
END_TEST

START_TEST(a_database_that_an_ordinary_user_cannot_write_says_so)
{
    struct store *store = open_new();
    struct error err = ERROR_INIT;
    int status;
    pid_t child;

    store_close(store);
    ck_assert_int_eq(chmod(dir, 0755) | chmod(path, 0444), 0);
    child = fork();
    if (child == 0) {
        struct store *mine;

        /* root may write anything: become nobody */
        if (setgid(65534) || setuid(65534))
            _exit(77);
        _exit(store_open(path, STORE_WRITE, &mine, &err) == ERR_READONLY ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    end(NULL);
}
END_TEST

struct busy {
    struct store *writer;
    int steps;
};

/* Somebody writes whenever a part of the copy is made. */
static void write_meanwhile(void *context, int64_t done, int64_t total)
{
    struct busy *busy = context;
    struct error err = ERROR_INIT;

    ck_assert_int_le(done, total);
    ck_assert_int_lt(++busy->steps, 50); /* it would begin anew for ever */
    ASSERT_OK(append(busy->writer, "seal", "{}", &err), err);
}

START_TEST(a_copy_is_one_state_however_much_is_written_meanwhile)
{
    struct busy busy = {open_new(), 0};
    struct error err = ERROR_INIT;
    struct store *reader, *copy;
    struct ledger_head head;
    char to[80];

    ASSERT_OK(append(busy.writer, "seal", "{}", &err), err);
    ASSERT_OK(sql_run(&busy.writer->sql, &err,
                      "INSERT INTO records(idx, line, evidence, mac)"
                      " VALUES (0, '', zeroblob(8000000), '')",
                      ""),
              err);
    ASSERT_OK(store_open(path, STORE_READ, &reader, &err), err);
    snprintf(to, sizeof to, "%s/copy.db", dir);
    ASSERT_OK(store_copy(reader, to, write_meanwhile, &busy, &err), err);
    ck_assert_int_gt(busy.steps, 3);
    ASSERT_FAILS(store_copy(reader, to, write_meanwhile, &busy, &err), ERR_EXISTS);
    ASSERT_OK(store_open(to, STORE_READ, &copy, &err), err);
    ASSERT_OK(ledger_head(copy, &head, &err), err);
    ck_assert_int_eq(head.seq, 1);
    store_close(copy);
    store_close(reader);
    end(busy.writer);
}
END_TEST

CHECK_ITEMS_MAIN("store", ONCE(an_empty_inventory_is_exhausted),
                 ONCE(credentials_are_picked_in_order_and_counted_by_state),
                 ONCE(a_serial_or_key_that_is_known_is_refused),
                 EACH_ROW(a_row_that_was_changed_is_not_issued, row_changes),
                 ONCE(a_claim_is_found_by_each_of_its_names_and_comes_back_whole),
                 ONCE(a_claim_whose_every_column_is_as_long_as_it_may_be_is_kept),
                 ONCE(the_database_itself_refuses_a_second_claim),
                 ONCE(a_ledger_that_was_not_touched_verifies),
                 EACH_ROW(a_ledger_that_was_changed_does_not_verify, ledger_changes),
                 ONCE(records_keep_their_index_and_come_back_in_order),
                 ONCE(a_sealing_is_journalled_step_by_step),
                 ONCE(a_second_vault_is_refused_while_the_first_lives),
                 ONCE(a_file_of_a_newer_program_or_no_database_is_refused),
                 ONCE(a_database_of_version_1_is_brought_to_this_one),
                 ONCE(a_database_that_an_ordinary_user_cannot_write_says_so),
                 ONCE(a_copy_is_one_state_however_much_is_written_meanwhile))
