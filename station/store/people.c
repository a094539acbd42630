#include "station/store/people.h"

#include "base/clock.h"
#include "base/codec.h"
#include "pki/digest.h"
#include "station/store/ledger.h"
#include "station/store/sql.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ROW_LABEL "imprint person v1"
#define COLUMNS   "id, name, role, state, badge, salt, memory, passes, pin, mac"

/* Entries that say what a person's row is. */
#define CHANGES                                                                                    \
    " AND json_extract(body, '$.event') IN ('" LEDGER_PERSON_ADDED "', '" LEDGER_PERSON_REMOVED    \
    "', '" LEDGER_PERSON_PIN "')"

static const char *const roles[] = {
    [PERSON_OPERATOR] = "operator",
    [PERSON_SUPERVISOR] = "supervisor",
    [PERSON_ENGINEER] = "engineer",
};

const char *person_role_name(enum person_role role)
{
    return role >= PERSON_OPERATOR && role <= PERSON_ENGINEER ? roles[role] : "nobody";
}

enum person_role person_role_of(const char *name)
{
    for (int role = PERSON_OPERATOR; role <= PERSON_ENGINEER; role++)
        if (strcmp(name, roles[role]) == 0)
            return (enum person_role)role;
    return 0;
}

/* ---- Reading ---- */

static int read_row(sqlite3_stmt *s, struct person *p, struct error *err)
{
    p->id = sqlite3_column_int64(s, 0);
    p->role = (enum person_role)sqlite3_column_int64(s, 2);
    p->state = (enum person_state)sqlite3_column_int64(s, 3);
    p->memory = sqlite3_column_int64(s, 6);
    p->passes = sqlite3_column_int64(s, 7);
    if (sql_text(s, 1, p->name, sizeof p->name, err) ||
        sql_blob_exact(s, 4, p->badge, sizeof p->badge, err) ||
        sql_blob_exact(s, 5, p->salt, sizeof p->salt, err) ||
        sql_blob_exact(s, 8, p->pin, sizeof p->pin, err) ||
        sql_blob_exact(s, 9, p->mac, sizeof p->mac, err))
        return ERR_STORE;
    return 0;
}

static int read_rows(struct store *store, struct people *people, size_t room, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s, "SELECT " COLUMNS " FROM people ORDER BY id", "");

    if (rc)
        return rc;
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        if (people->count == room) {
            sql_end(s);
            return error_set(err, ERR_STORE, "the table of people changed while it was read");
        }
        rc = read_row(s, &people->of[people->count++], err);
        if (rc) {
            sql_end(s);
            return rc;
        }
    }
    return rc;
}

int people_read(struct store *store, struct people *people, struct error *err)
{
    int64_t count = 0;
    int rc = sql_integer(&store->sql, err, &count, "SELECT count(*) FROM people", "");

    *people = (struct people){NULL, 0};
    if (rc)
        return rc;
    people->of = calloc((size_t)count + 1, sizeof *people->of);
    if (!people->of)
        return error_set(err, ERR_INTERNAL, "out of memory");
    return read_rows(store, people, (size_t)count, err);
}

void people_done(struct people *people)
{
    free(people->of);
    *people = (struct people){NULL, 0};
}

const struct person *people_named(const struct people *people, const char *name)
{
    for (size_t i = 0; i < people->count; i++)
        if (strcasecmp(people->of[i].name, name) == 0)
            return &people->of[i];
    return NULL;
}

/* The next character that tells names apart: no blank, in lower case; 0 at the end. */
static int next_told(const char **at)
{
    while (**at == ' ')
        ++*at;
    return **at ? tolower((unsigned char)*(*at)++) : 0;
}

/* Who, or who was, has a name that is this one but for blanks and capitals. */
static const struct person *named_alike(const struct people *people, const char *name)
{
    for (size_t i = 0; i < people->count; i++) {
        const char *a = people->of[i].name, *b = name;
        int told;

        while ((told = next_told(&a)) == next_told(&b))
            if (!told)
                return &people->of[i];
    }
    return NULL;
}

const struct person *people_with_badge(const struct people *people, const uint8_t badge[32])
{
    for (size_t i = 0; i < people->count; i++)
        if (sha256_equal(people->of[i].badge, badge))
            return &people->of[i];
    return NULL;
}

size_t people_count(const struct people *people, enum person_role role)
{
    size_t n = 0;

    for (size_t i = 0; i < people->count; i++)
        n += people->of[i].role == role && people->of[i].state == PERSON_ACTIVE;
    return n;
}

/* ---- Verifying ---- */

static int row_mac(struct store *store, const struct person *p, uint8_t mac[32], struct error *err)
{
    struct buf b;
    int rc;

    buf_init(&b, 1024);
    buf_put(&b, ROW_LABEL, sizeof ROW_LABEL);
    buf_put_u64(&b, (uint64_t)p->id);
    buf_put_lp(&b, p->name, strlen(p->name));
    buf_put_u64(&b, (uint64_t)p->role);
    buf_put_u64(&b, (uint64_t)p->state);
    buf_put(&b, p->badge, sizeof p->badge);
    buf_put(&b, p->salt, sizeof p->salt);
    buf_put_u64(&b, (uint64_t)p->memory);
    buf_put_u64(&b, (uint64_t)p->passes);
    buf_put(&b, p->pin, sizeof p->pin);
    rc = buf_check(&b, "a person", err);
    if (rc == 0)
        rc = store_mac(store, b.data, b.len, mac, err);
    buf_done(&b);
    return rc;
}

/* The MAC that the ledger's newest change of a person names; zeros for none. */
static int told_mac(struct store *store, int64_t id, uint8_t mac[32], struct error *err)
{
    char text[65] = "";
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT json_extract(body, '$.data.mac') FROM ledger"
                     " WHERE json_extract(body, '$.data.person') = ?" CHANGES
                     " ORDER BY seq DESC LIMIT 1",
                     "i", id);

    memset(mac, 0, 32);
    if (rc != 1)
        return rc;
    rc = sql_text(s, 0, text, sizeof text, err);
    sql_end(s);
    if (rc == 0 && hex_decode(text, mac, 32))
        memset(mac, 0, 32);
    return rc;
}

static int verify(struct store *store, const struct person *p, struct error *err)
{
    uint8_t made[32], told[32];
    int rc = row_mac(store, p, made, err);

    if (rc == 0)
        rc = told_mac(store, p->id, told, err);
    if (rc == 0 && !(sha256_equal(made, p->mac) && sha256_equal(made, told)))
        rc = error_set(err, ERR_INTEGRITY,
                       "the row of person %" PRId64 ", '%s', is not the one that the ledger tells "
                       "of: the database was changed; keep it as it is and call the security team",
                       p->id, p->name);
    return rc;
}

/* Nobody is removed from the table, so there are as many rows as were ever added. */
static int verify_count(struct store *store, const struct people *people, struct error *err)
{
    int64_t added = 0;
    int rc = sql_integer(&store->sql, err, &added,
                         "SELECT count(*) FROM ledger"
                         " WHERE json_extract(body, '$.data.person') IS NOT NULL"
                         " AND json_extract(body, '$.event') = '" LEDGER_PERSON_ADDED "'",
                         "");

    if (rc == 0 && added != (int64_t)people->count)
        rc = error_set(err, ERR_INTEGRITY,
                       "the ledger tells of %" PRId64 " people and the database has %zu: it was "
                       "changed; keep it as it is and call the security team",
                       added, people->count);
    return rc;
}

int people_load(struct store *store, struct people *people, struct error *err)
{
    int rc = people_read(store, people, err);

    for (size_t i = 0; rc == 0 && i < people->count; i++)
        rc = verify(store, &people->of[i], err);
    return rc ? rc : verify_count(store, people, err);
}

/* ---- Writing ---- */

/* What an entry says of a person: action of an attempt, mac of a change, or neither. */
static int tell(struct store *store, const struct person *p, const char *event, const char *action,
                const uint8_t *mac, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    if (action)
        jcs_str(&j, "action", action);
    if (mac)
        jcs_hex(&j, "mac", mac, 32);
    jcs_str(&j, "name", p->name);
    jcs_int(&j, "person", p->id);
    jcs_str(&j, "role", person_role_name(p->role));
    jcs_end(&j);
    rc = ledger_append(store, event, &data, err);
    buf_done(&data);
    return rc;
}

int person_tell(struct store *store, const struct person *p, const char *event, const char *action,
                struct error *err)
{
    return tell(store, p, event, action, NULL, err);
}

/* Before the constraints do, so that the message says which. */
static int check_new(struct store *store, const struct person *p, struct error *err)
{
    struct people people;
    const struct person *other;
    int rc = people_read(store, &people, err);

    if (rc == 0 && (other = named_alike(&people, p->name)))
        rc = error_set(err, ERR_DUPLICATE,
                       "there is or was a '%s' here: a name is one person's for ever, whatever "
                       "its blanks and capitals, so say another",
                       other->name);
    else if (rc == 0 && (other = people_with_badge(&people, p->badge)))
        rc = error_set(err, ERR_DUPLICATE,
                       "this is or was the badge of '%s': a badge is one person's for ever, so "
                       "take another",
                       other->name);
    people_done(&people);
    return rc;
}

int person_add(struct store *store, struct person *p, struct error *err)
{
    int64_t last = 0;
    int rc = check_new(store, p, err);

    if (rc == 0)
        rc = sql_integer(&store->sql, err, &last, "SELECT max(id) FROM people", "");
    p->id = last + 1;
    if (rc == 0)
        rc = row_mac(store, p, p->mac, err);
    if (rc == 0)
        rc = sql_run(&store->sql, err,
                     "INSERT INTO people(" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     "itiibbiibb", p->id, p->name, (int64_t)p->role, (int64_t)p->state, p->badge,
                     sizeof p->badge, p->salt, sizeof p->salt, p->memory, p->passes, p->pin,
                     sizeof p->pin, p->mac, sizeof p->mac);
    return rc ? rc : tell(store, p, LEDGER_PERSON_ADDED, NULL, p->mac, err);
}

int person_change(struct store *store, struct person *p, const char *event, struct error *err)
{
    int rc = row_mac(store, p, p->mac, err);

    if (rc == 0)
        rc = sql_run(&store->sql, err,
                     "UPDATE people SET state = ?, salt = ?, memory = ?, passes = ?, pin = ?,"
                     " mac = ? WHERE id = ?",
                     "ibiibbi", (int64_t)p->state, p->salt, sizeof p->salt, p->memory, p->passes,
                     p->pin, sizeof p->pin, p->mac, sizeof p->mac, p->id);
    return rc ? rc : tell(store, p, event, NULL, p->mac, err);
}

/* ---- Attempts ---- */

static int read_tries(sqlite3_stmt *s, struct person_tries *tries, struct error *err)
{
    char at[CLOCK_TEXT_SIZE];
    int rc;

    tries->wrong = sqlite3_column_int64(s, 0);
    if (tries->wrong == 0)
        return 0;
    rc = sql_text(s, 1, at, sizeof at, err);
    if (rc == 0 && clock_parse(at, &tries->last))
        rc = error_set(err, ERR_INTEGRITY, "an entry of the ledger has no time");
    return rc;
}

int person_tries(struct store *store, int64_t id, struct person_tries *tries, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s,
                     "SELECT count(*), max(json_extract(body, '$.at')) FROM ledger"
                     " WHERE json_extract(body, '$.data.person') = ?1"
                     " AND json_extract(body, '$.event') = '" LEDGER_PIN_TRIED "'"
                     " AND seq > (SELECT ifnull(max(seq), 0) FROM ledger"
                     " WHERE json_extract(body, '$.data.person') = ?1"
                     " AND json_extract(body, '$.event') IN"
                     " ('" LEDGER_SIGNED_IN "', '" LEDGER_PERSON_PIN "'))",
                     "i", id);

    *tries = (struct person_tries){0, 0};
    if (rc != 1)
        return rc;
    rc = read_tries(s, tries, err);
    sql_end(s);
    return rc;
}
