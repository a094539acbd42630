/*
 * db: the state file as manifests/trust has it open. Private to it.
 */
#ifndef MANIFESTS_TRUST_DB_H
#define MANIFESTS_TRUST_DB_H

#include "sql/sql.h"

/* A constraint that refuses a change is ERR_EXISTS, a file that is no database ERR_FORMAT. */
extern const struct sql_terms db_terms;

struct trust {
    struct sql sql;
    bool writable;
};

/* Runs statements without arguments that change the state. */
MUST_USE int db_exec(struct trust *t, const char *text, struct error *err);

MUST_USE int db_begin(struct trust *t, struct error *err);
MUST_USE int db_commit(struct trust *t, struct error *err); /* rolls back when it fails */
void db_rollback(struct trust *t);

#endif
