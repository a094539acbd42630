#include "station/vault/ticket.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "manifests/canon.h"

#include <string.h>

#define TICKET_FILE_MAX 65536

static void read_valid(struct canon *c, struct ticket *t)
{
    struct canon in;

    canon_enter(c, "valid", &in);
    canon_time(&in, "from", &t->from);
    canon_time(&in, "until", &t->until);
    if (in.rc == 0 && t->until <= t->from)
        canon_fail(&in, "member 'until' of valid is not after 'from'");
    in.rc = canon_end(&in);
    canon_leave(c, &in);
}

static void read_after(struct canon *c, struct ticket *t)
{
    struct canon in;

    t->has_after = canon_has(c, "after");
    if (!t->has_after)
        return;
    canon_enter(c, "after", &in);
    canon_text(&in, "origin", t->after_origin, sizeof t->after_origin);
    canon_base64(&in, "root", t->after_root.bytes, sizeof t->after_root.bytes);
    canon_u64(&in, "size", &t->after_size);
    in.rc = canon_end(&in);
    canon_leave(c, &in);
    if (t->action == TICKET_CLOCK)
        canon_fail(c, "member 'after' is for the actions \"restore\" and \"counter\" only");
}

static void read_members(struct canon *c, struct ticket *t)
{
    static const char *const types[] = {"recovery"};
    static const char *const actions[] = {
        [TICKET_CLOCK] = "clock", [TICKET_RESTORE] = "restore", [TICKET_COUNTER] = "counter"};
    int type, action = TICKET_CLOCK;

    canon_choice(c, "type", types, 1, &type);
    canon_text(c, "id", t->id, sizeof t->id);
    canon_text(c, "environment", t->environment, sizeof t->environment);
    canon_hex(c, "station", t->station, sizeof t->station);
    canon_choice(c, "action", actions, 3, &action);
    t->action = (enum ticket_action)action;
    read_valid(c, t);
    read_after(c, t);
}

int ticket_parse(const char *source, const void *bytes, size_t len, struct ticket *t,
                 struct error *err)
{
    struct ticket parsed = {.id = ""};
    struct error why = ERROR_INIT;
    struct canon c;
    int rc = canon_open(&c, bytes, len, "the ticket", &why);

    if (rc == 0) {
        read_members(&c, &parsed);
        rc = canon_end(&c);
    }
    canon_close(&c);
    if (rc)
        return error_set(err, ERR_INPUT, "ticket '%s': %s", source, why.text);
    sha256(bytes, len, parsed.hash);
    *t = parsed;
    return 0;
}

int ticket_read(const char *path, STACK_OF(X509) * pins, struct ticket *t, struct error *err)
{
    struct buf file, content;
    int rc;

    buf_init(&file, TICKET_FILE_MAX);
    buf_init(&content, TICKET_FILE_MAX);
    rc = file_read(path, &file, err);
    if (rc == 0) {
        rc = signed_open(file.data, file.len, pins, &content, err);
        if (rc)
            error_prefix(err, "ticket '%s'", path);
        if (rc == ERR_FORMAT)
            rc = error_recode(err, ERR_INPUT);
    }
    if (rc == 0)
        rc = ticket_parse(path, content.data, content.len, t, err);
    buf_done(&file);
    buf_done(&content);
    return rc;
}

int ticket_check(const struct ticket *t, const char *environment,
                 const uint8_t station[SHA256_SIZE], int64_t now, struct error *err)
{
    char own[2 * SHA256_SIZE + 1], from[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE],
        clock[CLOCK_TEXT_SIZE];

    if (strcmp(t->environment, environment))
        return error_set(err, ERR_REFUSED,
                         "ticket '%s' is for environment '%s' and this station is '%s'", t->id,
                         t->environment, environment);
    hex_encode(station, SHA256_SIZE, own);
    if (memcmp(t->station, station, SHA256_SIZE))
        return error_set(err, ERR_REFUSED,
                         "ticket '%s' is for another station: it must name this one's key, %s",
                         t->id, own);
    clock_text(t->from, from);
    clock_text(t->until, until);
    clock_text(now, clock);
    if (now < t->from || now > t->until)
        return error_set(err, ERR_REFUSED,
                         "ticket '%s' is good from %s to %s and the clock says %s: set the clock, "
                         "or ask for another ticket",
                         t->id, from, until, clock);
    return 0;
}
