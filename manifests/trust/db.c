#include "manifests/trust/db.h"

const struct sql_terms db_terms = {
    .file = "state",
    .full = "free space and run the command again: the state is as it was before",
    .readonly = "check the owner and mode of the state file and its folder",
    .busy = "another program is changing the state: try again when it is done",
    .foreign = "this is not a state file",
    .damaged = "take the last good copy of the state, and accept what came after it again",
    .foreign_code = ERR_FORMAT,
    .constraint_code = ERR_EXISTS,
};

int db_exec(struct trust *t, const char *text, struct error *err)
{
    return sql_exec(&t->sql, text, "write the state", err);
}

int db_begin(struct trust *t, struct error *err)
{
    return db_exec(t, "BEGIN IMMEDIATE", err);
}

int db_commit(struct trust *t, struct error *err)
{
    int rc = db_exec(t, "COMMIT", err);

    if (rc)
        db_rollback(t);
    return rc;
}

void db_rollback(struct trust *t)
{
    sql_reset(&t->sql);
    /* After some failures SQLite has rolled back already, and there is nothing to do. */
    if (!sqlite3_get_autocommit(t->sql.db))
        (void)sqlite3_exec(t->sql.db, "ROLLBACK", NULL, NULL, NULL);
}
