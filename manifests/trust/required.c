#include "manifests/trust/required.h"

#include "manifests/trust/db.h"

#include <string.h>

#define ROWS "SELECT algorithm, since, root FROM signatures_required WHERE log = ?"

/* The root in the state, in DER; an empty one stands for the root of manifest signers. */
static int read_root(sqlite3_stmt *row, X509 **root, struct error *err)
{
    const unsigned char *der = sqlite3_column_blob(row, 2);
    int len = sqlite3_column_bytes(row, 2);

    *root = NULL;
    if (len > 0 && !(*root = d2i_X509(NULL, &der, len)))
        return error_set(err, ERR_STORE, "a root of a required signature in the state is damaged");
    return 0;
}

/* Whether a root that was named now is another than the one in the state. */
static bool is_another(const X509 *named, const X509 *stored)
{
    return named && (!stored || X509_cmp(named, stored));
}

static int read_algorithm(sqlite3_stmt *row, enum cms_algorithm *a, struct error *err)
{
    const char *name = (const char *)sqlite3_column_text(row, 0);

    *a = name ? cms_algorithm_find(name, strlen(name)) : CMS_ALGORITHMS;
    if (*a == CMS_ALGORITHMS)
        return error_set(err, ERR_STORE,
                         "the state requires a signature of '%.64s', which this program does not "
                         "know: use a newer one",
                         name ? name : "?");
    return 0;
}

/* One row of the state: algorithm, since, root. */
static int take_row(sqlite3_stmt *row, int64_t seq, struct signatures_policy *p, struct error *err)
{
    enum cms_algorithm a;
    X509 *root;
    int rc;

    if ((rc = read_algorithm(row, &a, err)) || (rc = read_root(row, &root, err)))
        return rc;
    if (p->of[a].required && is_another(p->of[a].root, root)) {
        X509_free(root);
        return error_set(err, ERR_IMPOSTOR,
                         "signatures of %s were required below another root: leave the root out, "
                         "the state has it; nothing was changed",
                         cms_algorithm_name(a));
    }
    X509_free(p->of[a].root);
    p->of[a].root = root;
    p->of[a].required = sqlite3_column_int64(row, 1) <= seq;
    return 0;
}

static int copy_given(const struct signatures_policy *given, struct signatures_policy *out,
                      struct error *err)
{
    for (enum cms_algorithm a = 0; given && a < CMS_ALGORITHMS; a++) {
        out->of[a].required = given->of[a].required;
        if (given->of[a].root && !(out->of[a].root = X509_dup(given->of[a].root)))
            return error_set(err, ERR_INTERNAL, "out of memory");
    }
    return 0;
}

int required_load(struct trust *t, int64_t log, int64_t seq, const struct signatures_policy *given,
                  struct signatures_policy *out, struct error *err)
{
    sqlite3_stmt *row;
    int rc = copy_given(given, out, err);

    if (rc || !log)
        return rc;
    rc = sql_row(&t->sql, err, &row, ROWS, "i", log);
    while (rc == 1 && (rc = take_row(row, seq, out, err)) == 0)
        rc = sql_next(&t->sql, row, err);
    if (rc < 0)
        sql_end(row);
    return rc;
}

static int list_row(sqlite3_stmt *row, struct required list[CMS_ALGORITHMS], struct error *err)
{
    enum cms_algorithm a;
    int rc = read_algorithm(row, &a, err), len = sqlite3_column_bytes(row, 2);

    if (rc)
        return rc;
    list[a] = (struct required){.since = (uint64_t)sqlite3_column_int64(row, 1), .own = len > 0};
    if (len > 0)
        sha256(sqlite3_column_blob(row, 2), (size_t)len, list[a].root);
    return 0;
}

int required_list(struct trust *t, int64_t log, struct required list[CMS_ALGORITHMS],
                  struct error *err)
{
    sqlite3_stmt *row;
    int rc = sql_row(&t->sql, err, &row, ROWS, "i", log);

    memset(list, 0, CMS_ALGORITHMS * sizeof *list);
    while (rc == 1 && (rc = list_row(row, list, err)) == 0)
        rc = sql_next(&t->sql, row, err);
    if (rc < 0)
        sql_end(row);
    return rc;
}

static int keep_one(struct trust *t, int64_t log, int64_t since, enum cms_algorithm a, X509 *root,
                    struct error *err)
{
    unsigned char *der = NULL;
    int len = root ? i2d_X509(root, &der) : 0, rc;

    if (len < 0)
        return error_set(err, ERR_CRYPTO, "cannot encode a root");
    rc = sql_run(&t->sql, err,
                 "INSERT OR IGNORE INTO signatures_required (log, algorithm, since, root)"
                 " VALUES (?, ?, ?, ?)",
                 "itib", log, cms_algorithm_name(a), since, der ? der : (const void *)"",
                 (size_t)len);
    OPENSSL_free(der);
    return rc;
}

int required_keep(struct trust *t, int64_t log, int64_t since, const struct signatures_policy *p,
                  struct error *err)
{
    int rc = 0;

    for (enum cms_algorithm a = 0; rc == 0 && a < CMS_ALGORITHMS; a++)
        if (p->of[a].required)
            rc = keep_one(t, log, since, a, p->of[a].root, err);
    return rc;
}
