#include "station/vault/hosted/request_files.h"

#include "base/codec.h"
#include "base/file.h"
#include "base/tar.h"
#include "pki/digest.h"
#include "pki/serial_name.h"
#include "station/store/requests.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_MAX  8192
#define PEM_LINE 64 /* characters, RFC 7468 */

struct writing {
    enum request_form form;
    char making[PATH_MAX]; /* the folder or file before it has its name */
    FILE *out;             /* of a file */
    bool (*stop)(void *context);
    struct buf text;
    int64_t count;
};

bool request_form_named(const char *name, enum request_form *form)
{
    static const char *const names[] = {
        [REQUEST_DIR] = "dir", [REQUEST_TAR] = "tar", [REQUEST_CSV] = "csv"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *form = (enum request_form)i;
            return true;
        }
    return false;
}

/* ---- one request ---- */

static void put_text(struct buf *out, const char *text)
{
    buf_put(out, text, strlen(text));
}

static int put_pem(const struct request *r, struct buf *out, struct error *err)
{
    struct buf base64;

    buf_init(&base64, PEM_MAX);
    base64_put(&base64, r->der.data, r->der.len);
    put_text(out, "-----BEGIN CERTIFICATE REQUEST-----\n");
    for (size_t at = 0; at < base64.len; at += PEM_LINE) {
        size_t len = base64.len - at < PEM_LINE ? base64.len - at : PEM_LINE;

        buf_put(out, base64.data + at, len);
        buf_put_u8(out, '\n');
    }
    put_text(out, "-----END CERTIFICATE REQUEST-----\n");
    buf_done(&base64);
    return buf_check(out, "a request", err);
}

static int put_row(const struct request *r, const char *name, struct buf *out, struct error *err)
{
    char hex[2 * SHA256_SIZE + 1];
    uint8_t hash[SHA256_SIZE];

    sha256(r->der.data, r->der.len, hash);
    hex_encode(hash, sizeof hash, hex);
    put_text(out, name); /* letters, digits and '-': nothing needs quotes, nothing is a formula */
    put_text(out, ",");
    put_text(out, hex);
    put_text(out, ",");
    base64_put(out, r->der.data, r->der.len);
    put_text(out, "\r\n");
    return buf_check(out, "a request", err);
}

static int write_out(struct writing *w, const void *bytes, size_t len, struct error *err)
{
    if (fwrite(bytes, 1, len, w->out) == len)
        return 0;
    return error_set_errno(err, errno, "cannot write '%s'", w->making);
}

static int write_entry(struct writing *w, const char *name, int64_t mtime, struct error *err)
{
    static const uint8_t zeros[TAR_BLOCK];
    uint8_t header[TAR_BLOCK];
    int rc;

    tar_header(name, w->text.len, mtime, header);
    rc = write_out(w, header, sizeof header, err);
    if (rc == 0)
        rc = write_out(w, w->text.data, w->text.len, err);
    return rc ? rc : write_out(w, zeros, tar_padding(w->text.len), err);
}

/* Without a sync of its own: the folder is synced as a whole before it gets its name. */
static int write_file(struct writing *w, const char *name, struct error *err)
{
    char path[PATH_MAX];
    size_t done;
    FILE *out;
    int rc = file_join(path, sizeof path, w->making, name, err);

    if (rc)
        return rc;
    out = fopen(path, "wxe");
    if (!out)
        return error_set_errno(err, errno, "cannot create '%s'", path);
    done = fwrite(w->text.data, 1, w->text.len, out);
    if (fclose(out) || done != w->text.len)
        return error_set_errno(err, errno, "cannot write '%s'", path);
    return 0;
}

static int write_one(void *context, const struct request *r, struct error *err)
{
    struct writing *w = context;
    char name[SERIAL_NAME_MAX + 8];
    int rc = serial_to_name(r->serial, name, err);

    if (w->stop(NULL))
        return error_set(err, ERR_INTERRUPTED,
                         "stopped on request: the keys are kept, and the same command writes the "
                         "requests");
    buf_reset(&w->text);
    if (rc == 0)
        rc = w->form == REQUEST_CSV ? put_row(r, name, &w->text, err) : put_pem(r, &w->text, err);
    strcat(name, ".csr");
    if (rc == 0 && w->form == REQUEST_CSV)
        rc = write_out(w, w->text.data, w->text.len, err);
    else if (rc == 0 && w->form == REQUEST_TAR)
        rc = write_entry(w, name, r->made, err);
    else if (rc == 0)
        rc = write_file(w, name, err);
    w->count += rc == 0;
    return rc;
}

/* ---- all of them ---- */

static int begin_file(struct writing *w, const char *path, struct error *err)
{
    static const char head[] = "serial,sha256,csr\r\n";

    if (file_exists(path))
        return error_set(err, ERR_EXISTS, "'%s' exists already", path);
    if (snprintf(w->making, sizeof w->making, "%s.making", path) >= (int)sizeof w->making)
        return error_set(err, ERR_INPUT, "the path '%s' is too long", path);
    /* What a killed command left; a link that somebody else put there is taken away, not followed. */
    if (unlink(w->making) && errno != ENOENT)
        return error_set_errno(err, errno, "cannot remove '%s'", w->making);
    w->out = fopen(w->making, "wxe");
    if (!w->out)
        return error_set_errno(err, errno, "cannot create '%s'", w->making);
    return w->form == REQUEST_CSV ? write_out(w, head, sizeof head - 1, err) : 0;
}

static int begin(struct writing *w, const char *path, struct error *err)
{
    int rc =
        w->form == REQUEST_DIR ? file_dir_begin(path, w->making, err) : begin_file(w, path, err);

    if (rc != ERR_EXISTS)
        return rc;
    return error_set(err, ERR_EXISTS,
                     "'%s' exists already: take it away, or name another place; the requests are "
                     "kept, and the same command writes them again",
                     path);
}

static int end_file(struct writing *w, const char *path, struct error *err)
{
    static const uint8_t zeros[2 * TAR_BLOCK];
    int rc = w->form == REQUEST_TAR ? write_out(w, zeros, sizeof zeros, err) : 0, closed;

    closed = file_close(w->out, w->making, rc ? NULL : err);
    w->out = NULL;
    if (rc || closed)
        return rc ? rc : closed;
    if (rename(w->making, path))
        return error_set_errno(err, errno, "cannot give '%s' its name", path);
    return 0;
}

static int sync_all(const struct writing *w, struct error *err)
{
    FILE *dir = fopen(w->making, "re");
    int failed = !dir || syncfs(fileno(dir));

    if (failed)
        failed = error_set_errno(err, errno, "cannot sync '%s'", w->making);
    if (dir)
        fclose(dir);
    return failed;
}

static int end(struct writing *w, const char *path, struct error *err)
{
    int rc;

    if (w->form != REQUEST_DIR)
        return end_file(w, path, err);
    rc = sync_all(w, err);
    if (rc == 0 && chmod(w->making, 0755))
        rc = error_set_errno(err, errno, "cannot change '%s'", w->making);
    return rc ? rc : file_dir_finish(w->making, path, err);
}

static void give_up(struct writing *w)
{
    struct error ignored = ERROR_INIT;

    if (w->out)
        fclose(w->out);
    if (w->form != REQUEST_DIR)
        (void)unlink(w->making);
    else if (file_remove_tree(w->making, &ignored))
        (void)0; /* the next one removes it */
}

int request_files_write(const struct vault *v, const char *lot, enum request_form form,
                        const char *path, bool (*stop)(void *context), int64_t *written,
                        struct error *err)
{
    struct writing w = {.form = form, .stop = stop};
    int rc = begin(&w, path, err);

    *written = 0;
    if (rc)
        return rc;
    buf_init(&w.text, PEM_MAX);
    rc = request_each_waiting(v->store, v->order_id, lot, write_one, &w, err);
    if (rc == 0 && w.count == 0)
        rc = error_set(
            err, ERR_MISSING,
            "no request of lot '%s' waits for its certificate: there is nothing to write", lot);
    if (rc == 0)
        rc = end(&w, path, err);
    if (rc)
        give_up(&w);
    buf_done(&w.text);
    if (rc == 0)
        *written = w.count;
    return rc;
}
