#include "station/vault/scanning.h"

#include "base/clock.h"
#include "base/text.h"
#include "station/vault/claim.h"
#include "station/vault/ending.h"
#include "station/vault/naming.h"
#include "station/vault/quota.h"
#include "station/vault/scan.h"
#include "station/vault/slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SLOTS_MAX 256
#define TELL_MAX  64
#define SLOT_CODE "SLOT:"
#define ACK_CODE  "ACK:"

struct slot_scan {
    char slot[WIRE_SLOT_MAX + 1];
    char serial[SERIAL_TEXT_MAX + 1]; /* armed for it, or empty */
    int64_t until_ms;
    int64_t credential;                                /* whose label is asked for; 0: none */
    char is[sizeof(((struct credential *)0)->serial)]; /* its serial */
    char said[SERIAL_TEXT_MAX + 1];                    /* what another unit's label said */
    enum scanning_label label;
    bool busy; /* its device has its plan, and no result yet */
};

struct selection {
    char slot[WIRE_SLOT_MAX + 1]; /* that the scanner's next code is about, or empty */
    int64_t credential;           /* whose label the slot asked for then; 0: none */
    int64_t until_ms;
};

struct scanning {
    struct slot_scan slots[SLOTS_MAX];
    size_t count;
    struct selection selected[CONFIG_SCANNERS_MAX];
    struct wire_scan tell[TELL_MAX]; /* a ring: the oldest is lost when nobody asks */
    size_t first, waiting;
};

struct scanning *scanning_new(void)
{
    return calloc(1, sizeof(struct scanning));
}

void scanning_free(struct scanning *s)
{
    free(s);
}

/* ---- what is told ---- */

static void tell(struct scanning *s, enum wire_scan_kind kind, const char *slot, const char *serial,
                 const char *text)
{
    struct wire_scan *t;

    if (s->waiting == TELL_MAX) {
        s->first = (s->first + 1) % TELL_MAX;
        s->waiting--;
    }
    t = &s->tell[(s->first + s->waiting++) % TELL_MAX];
    *t = (struct wire_scan){.live = 1, .kind = (uint8_t)kind};
    snprintf(t->slot, sizeof t->slot, "%s", slot);
    snprintf(t->serial, sizeof t->serial, "%s", serial);
    snprintf(t->text, sizeof t->text, "%.*s", (int)text_cut(text, WIRE_TEXT_MAX), text);
}

void scanning_tell(struct scanning *s, const char *text)
{
    tell(s, WIRE_SCAN_NOTICE, "", "", text);
}

void scanning_next(struct scanning *s, struct wire_scan *out)
{
    *out = (struct wire_scan){.live = s != NULL, .kind = WIRE_SCAN_NONE};
    if (!s || s->waiting == 0)
        return;
    *out = s->tell[s->first];
    s->first = (s->first + 1) % TELL_MAX;
    s->waiting--;
}

/* ---- slots ---- */

static struct slot_scan *find(struct scanning *s, const char *slot)
{
    for (size_t i = 0; s && i < s->count; i++)
        if (strcmp(s->slots[i].slot, slot) == 0)
            return &s->slots[i];
    return NULL;
}

/* One of which nothing is known any more; NULL when there is none. */
static struct slot_scan *find_idle(struct scanning *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (!*s->slots[i].serial && !s->slots[i].credential && !s->slots[i].busy)
            return &s->slots[i];
    return NULL;
}

/* NULL when there are more than a line has. */
static struct slot_scan *get(struct scanning *s, const char *slot)
{
    struct slot_scan *found = find(s, slot);

    if (found)
        return found;
    found = s->count < SLOTS_MAX ? &s->slots[s->count++] : find_idle(s);
    if (!found)
        return NULL;
    *found = (struct slot_scan){.credential = 0};
    snprintf(found->slot, sizeof found->slot, "%s", slot);
    return found;
}

const char *scanning_serial(struct scanning *s, const char *slot)
{
    const struct slot_scan *found = find(s, slot);

    return found && *found->serial ? found->serial : NULL;
}

/* A label from before the line began, whose unit did not pass yet. */
static const struct scan *unused_before(const struct vault *v, const char *slot)
{
    const struct scan *before = scans_find(v->scans, slot);

    return before && !before->used ? before : NULL;
}

bool scanning_is_awaited(const struct vault *v, const char *slot)
{
    return v->scanning && v->job->serials.source == SOURCE_SCANNED && !unused_before(v, slot) &&
           !scanning_serial(v->scanning, slot);
}

void scanning_used(struct scanning *s, const char *slot)
{
    struct slot_scan *found = s ? get(s, slot) : NULL;

    if (!found)
        return;
    found->serial[0] = 0;
    found->busy = true;
}

void scanning_refused(struct scanning *s, const char *slot)
{
    struct slot_scan *found = find(s, slot);
    char serial[SERIAL_TEXT_MAX + 1];

    if (!found || !*found->serial)
        return;
    strcpy(serial, found->serial);
    found->serial[0] = 0;
    tell(s, WIRE_SCAN_EXPIRED, slot, serial,
         N_("the device in it was refused: scan the slot and the unit again"));
}

void scanning_expire(struct scanning *s, int64_t now_ms)
{
    for (size_t i = 0; i < s->count; i++)
        if (*s->slots[i].serial && now_ms >= s->slots[i].until_ms) {
            char serial[SERIAL_TEXT_MAX + 1];

            strcpy(serial, s->slots[i].serial);
            s->slots[i].serial[0] = 0;
            tell(s, WIRE_SCAN_EXPIRED, s->slots[i].slot, serial,
                 N_("30 seconds are over: scan the slot and the unit again"));
        }
    for (size_t i = 0; i < CONFIG_SCANNERS_MAX; i++)
        if (now_ms >= s->selected[i].until_ms)
            s->selected[i].slot[0] = 0;
}

/* ---- labels of devices that proved ---- */

static bool is_asked(const struct slot_scan *slot, const struct session *session)
{
    return slot && slot->credential && slot->credential == session->credential.id;
}

enum scanning_label scanning_label(struct scanning *s, const struct session *session)
{
    struct slot_scan *slot = get(s, session->slot);

    if (!slot)
        return LABEL_AWAITED;
    if (!is_asked(slot, session)) {
        slot->credential = session->credential.id;
        slot->label = LABEL_AWAITED;
        snprintf(slot->is, sizeof slot->is, "%s", session->credential.serial);
    }
    return slot->label;
}

int scanning_check(struct scanning *s, const struct session *session, struct error *err)
{
    const struct slot_scan *slot = find(s, session->slot);

    if (!is_asked(slot, session) || slot->label != LABEL_OTHER)
        return 0;
    return error_set(
        err, ERR_LABEL_MISMATCH,
        "LABEL_MISMATCH: the label of the unit in slot '%s' says '%s', and the device in "
        "it is '%s': that identity is void; set the unit aside with this text, never ship it",
        slot->slot, slot->said, slot->is);
}

void scanning_forget(struct scanning *s, const struct session *session)
{
    struct slot_scan *slot = find(s, session->slot);

    if (slot)
        slot->busy = false;
    if (is_asked(slot, session))
        slot->credential = 0;
}

/* ---- one code ---- */

static const struct config_scanner *scanner_of(const struct vault *v, size_t scanner)
{
    return &v->config->scanners[scanner];
}

static bool is_of_scanner(const struct config_scanner *c, const char *slot)
{
    for (size_t i = 0; i < c->slot_count; i++)
        if (strcmp(c->slots[i], slot) == 0)
            return true;
    return c->slot_count == 0;
}

/* Whose label the slot asks for; 0: it does not. */
static int64_t asking(struct scanning *s, const char *slot)
{
    const struct slot_scan *found = find(s, slot);

    return found ? found->credential : 0;
}

/* Slots that the job has and this scanner may scan for. */
static int check_slot(const struct vault *v, size_t scanner, const char *slot, struct error *err)
{
    const struct config_scanner *c = scanner_of(v, scanner);
    int rc = scan_check_slot(v->job, slot, err);

    if (rc || is_of_scanner(c, slot))
        return rc;
    return error_set(err, ERR_REFUSED,
                     "scanner '%s' is not for slot '%s': use the scanner of that slot", c->name,
                     slot);
}

static int acknowledge(struct vault *v, size_t scanner, const char *slot, struct error *err)
{
    bool was = false;
    int rc = check_slot(v, scanner, slot, err);

    if (rc == 0)
        rc = slots_acknowledge(v, slot, &was, err);
    if (rc == 0 && !was)
        rc = error_set(err, ERR_REFUSED,
                       "slot '%s' is not disabled: there is nothing to acknowledge", slot);
    if (rc == 0)
        tell(v->scanning, WIRE_SCAN_ACK, slot, "", "the slot goes on");
    return rc;
}

static int select_slot(struct vault *v, size_t scanner, const char *slot, int64_t now_ms,
                       struct error *err)
{
    struct selection *selected = &v->scanning->selected[scanner];
    int rc = check_slot(v, scanner, slot, err);

    selected->slot[0] = 0;
    if (rc)
        return rc;
    snprintf(selected->slot, sizeof selected->slot, "%s", slot);
    selected->credential = asking(v->scanning, slot);
    selected->until_ms = now_ms + SCANNING_MS;
    tell(v->scanning, WIRE_SCAN_SLOT, slot, "", N_("now scan the unit of this slot"));
    return 0;
}

/* The one slot of the scanner whose device waits for its label; NULL when there is none, or several. */
static struct slot_scan *only_asking(const struct vault *v, size_t scanner)
{
    struct slot_scan *only = NULL;

    for (size_t i = 0; i < v->scanning->count; i++) {
        struct slot_scan *slot = &v->scanning->slots[i];

        if (!slot->credential || slot->label != LABEL_AWAITED ||
            !is_of_scanner(scanner_of(v, scanner), slot->slot))
            continue;
        if (only)
            return NULL;
        only = slot;
    }
    return only;
}

static void confirm(struct vault *v, struct slot_scan *slot)
{
    slot->label = LABEL_FITS;
    tell(v->scanning, WIRE_SCAN_LABEL, slot->slot, slot->is, N_("the label fits"));
}

/* Whatever the line does next, nobody gets this identity any more. *ended: it was over already, and
 * nothing was burned. */
static int burn(struct vault *v, int64_t credential, bool *ended, struct error *err)
{
    struct claim claim;
    bool found = false;
    int rc;

    claim_init(&claim);
    rc = claim_by_credential(v->store, credential, &claim, &found, err);
    *ended = rc == 0 && (!found || claim.state != CLAIM_OPEN);
    if (rc == 0 && !*ended)
        rc = store_begin(v->store, err);
    if (rc || *ended)
        goto out;
    rc = claim_burn(v, &claim, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    else
        quota_move(v, CREDENTIAL_CLAIMED, CREDENTIAL_BURNED, 1);
out:
    claim_done(&claim);
    return rc;
}

/* Only what can be the label of another unit condemns: some other code on the unit is a slip of the hand. */
static int check_other_unit(const struct vault *v, const struct slot_scan *slot, const char *serial,
                            struct error *err)
{
    struct error why = ERROR_INIT;
    int rc = job_serials_allow(&v->job->serials, &v->share->serials, v->order, serial, &why);

    if (rc)
        return error_set(err, ERR_REFUSED,
                         "'%s' is the label of no unit of this order: scan the label of slot '%s'",
                         serial, slot->slot);
    if (strcasecmp(slot->is, serial))
        return 0;
    return error_set(
        err, ERR_REFUSED,
        "the label says '%s' and the device in slot '%s' is '%s': they differ in upper "
        "and lower case, call the engineer",
        serial, slot->slot, slot->is);
}

static int condemn(struct vault *v, struct slot_scan *slot, const char *serial, struct error *err)
{
    struct error mismatch = ERROR_INIT;
    char shown[ERROR_SHOWN_SIZE];
    bool ended = false;
    int rc = check_other_unit(v, slot, serial, err);

    if (rc == 0)
        rc = burn(v, slot->credential, &ended, err);
    if (rc == 0 && ended)
        rc = error_set(err, ERR_REFUSED,
                       "the label says '%s' and the device in slot '%s' is '%s', whose identity "
                       "ended already: set the unit aside and call the engineer",
                       serial, slot->slot, slot->is);
    if (rc)
        return rc;
    slot->label = LABEL_OTHER;
    snprintf(slot->said, sizeof slot->said, "%s", serial);
    (void)error_set(&mismatch, ERR_LABEL_MISMATCH,
                    "LABEL_MISMATCH: the label of the unit in slot '%s' says '%s', and the device "
                    "in it is '%s'",
                    slot->slot, slot->said, slot->is);
    tell(v->scanning, WIRE_SCAN_MISMATCH, slot->slot, slot->is, error_shown(&mismatch, shown));
    return 0;
}

static int refuse_double(const char *slot, const char *serial, struct error *err)
{
    return error_set(
        err, ERR_DUPLICATE,
        "the serial '%s' was scanned for slot '%s' already: no two units have the same", serial,
        slot);
}

/* The label of another slot, armed now or from before the line began, which a unit of the same serial
 * would follow. */
static int check_other_slots(const struct vault *v, const char *slot, const char *serial,
                             struct error *err)
{
    const struct scanning *s = v->scanning;

    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->slots[i].slot, slot) && strcasecmp(s->slots[i].serial, serial) == 0)
            return refuse_double(s->slots[i].slot, serial, err);
    for (size_t i = 0; v->scans && i < v->scans->count; i++)
        if (!v->scans->at[i].used && strcasecmp(v->scans->at[i].serial, serial) == 0)
            return refuse_double(v->scans->at[i].slot, serial, err);
    return 0;
}

/* What was armed now would be for nobody. */
static int check_free(const struct vault *v, const char *name, struct error *err)
{
    const struct scan *before = unused_before(v, name);
    const struct slot_scan *slot = find(v->scanning, name);

    if (before)
        return error_set(err, ERR_REFUSED,
                         "slot '%s' has the label '%s' since before the line began: put that unit "
                         "in first",
                         name, before->serial);
    if (slot && slot->busy)
        return error_set(err, ERR_REFUSED,
                         "the device in slot '%s' is in work: scan for the next one when its tile "
                         "says PASS or FAIL",
                         name);
    return 0;
}

/* A serial that a finished device has is no new one's; one that is claimed may be this very unit's,
 * which comes back: HELLO will tell. */
static int check_finished(void *context, const struct credential *c, struct error *err)
{
    (void)context;
    if (c->state != CREDENTIAL_PROVEN)
        return 0;
    return error_set(
        err, ERR_DUPLICATE,
        "another device has the serial '%s': if this is that very unit, it needs no scan; "
        "if not, set it aside",
        c->serial);
}

static int judge(const struct vault *v, const char *slot, const char *serial, struct error *err)
{
    int64_t replaces;
    bool again;
    int rc = job_serials_allow(&v->job->serials, &v->share->serials, v->order, serial, err);

    if (rc == 0)
        rc = check_other_slots(v, slot, serial, err);
    if (rc == 0)
        rc = credential_each_of_serial(v->store, v->order->product, serial, check_finished, NULL,
                                       err);
    if (rc)
        return rc;
    rc = naming_judge(v, serial, &again, &replaces, err);
    return rc == ERR_DUPLICATE ? 0 : rc;
}

static int arm(struct vault *v, const char *slot, const char *serial, int64_t now_ms,
               struct error *err)
{
    struct slot_scan *s;
    int rc;

    if (v->job->serials.source != SOURCE_SCANNED)
        return error_set(err, ERR_REFUSED,
                         "slot '%s' does not ask for a label: scan it when the board says so",
                         slot);
    rc = check_free(v, slot, err);
    if (rc == 0)
        rc = judge(v, slot, serial, err);
    if (rc)
        return rc;
    s = get(v->scanning, slot);
    if (!s)
        return error_set(err, ERR_INPUT, "there are too many slots");
    snprintf(s->serial, sizeof s->serial, "%s", serial);
    s->until_ms = now_ms + SCANNING_MS;
    tell(v->scanning, WIRE_SCAN_ARMED, slot, serial, N_("put this unit in within 30 seconds"));
    return 0;
}

/* The same two codes must not arm or condemn, depending on what the device did between them: what they
 * were meant for was on the tile when the first was scanned. */
static int check_unchanged(struct scanning *s, const struct selection *was, struct error *err)
{
    if (asking(s, was->slot) == was->credential)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "slot '%s' went on since its code was scanned: look what its tile says, and "
                     "scan both again",
                     was->slot);
}

static int take_of_slot(struct vault *v, const char *name, const char *serial, int64_t now_ms,
                        struct error *err)
{
    struct slot_scan *slot = find(v->scanning, name);
    bool fits;

    if (!slot || !slot->credential)
        return arm(v, name, serial, now_ms, err);
    fits = strcmp(slot->is, serial) == 0;
    if (slot->label == LABEL_OTHER || (slot->label == LABEL_FITS && !fits))
        return error_set(err, ERR_REFUSED, "the label of slot '%s' was scanned already", name);
    if (!fits)
        return condemn(v, slot, serial, err);
    confirm(v, slot); /* again: the line may have lost what it was told */
    return 0;
}

static int take_alone(struct vault *v, size_t scanner, const char *serial, struct error *err)
{
    struct slot_scan *slot = only_asking(v, scanner);

    if (!slot || strcmp(slot->is, serial))
        return error_set(
            err, ERR_REFUSED,
            "'%s' was scanned without a slot: scan the code of the slot, then this one", serial);
    confirm(v, slot);
    return 0;
}

static int take_label(struct vault *v, size_t scanner, const char *code, size_t len, int64_t now_ms,
                      struct error *err)
{
    struct selection *selected = &v->scanning->selected[scanner];
    struct selection was = *selected;
    char serial[SERIAL_TEXT_MAX + 1];
    int rc = job_label_serial(&v->job->label, v->order, code, len,
                              scanner_of(v, scanner)->separator[0], serial, err);

    /* A code that could not be read is scanned again for the same slot. */
    if (rc == 0)
        rc = serial_check(serial, err);
    if (rc)
        return rc;
    if (!*selected->slot)
        return take_alone(v, scanner, serial, err);
    selected->slot[0] = 0;
    rc = check_unchanged(v->scanning, &was, err);
    return rc ? rc : take_of_slot(v, was.slot, serial, now_ms, err);
}

/* "SLOT:S1" or "ACK:S1", which a scanner may have put its AIM identifier before. */
static bool is_code_of_slot(const char *kind, const char *code, size_t len,
                            char slot[WIRE_SLOT_MAX + 1])
{
    size_t mark = strlen(kind);

    if (len > 3 && code[0] == ']') {
        code += 3;
        len -= 3;
    }
    if (len <= mark || len - mark > WIRE_SLOT_MAX || memcmp(code, kind, mark) != 0)
        return false;
    for (size_t i = mark; i < len; i++)
        if (code[i] < 0x20 || code[i] > 0x7e)
            return false;
    memcpy(slot, code + mark, len - mark);
    slot[len - mark] = 0;
    return true;
}

/* What a person can put right by another scan. */
static bool is_mistake(int rc)
{
    return rc == ERR_INPUT || rc == ERR_REFUSED || rc == ERR_DUPLICATE;
}

void scanning_refuse(struct scanning *s, const char *text)
{
    tell(s, WIRE_SCAN_REFUSED, "", "", text);
}

int scanning_take(struct vault *v, size_t scanner, const char *code, size_t len, int64_t now_ms,
                  struct error *err)
{
    struct error wrong = ERROR_INIT;
    char slot[WIRE_SLOT_MAX + 1] = "", shown[ERROR_SHOWN_SIZE];
    int rc;

    scanning_expire(v->scanning, now_ms);
    if (is_code_of_slot(ACK_CODE, code, len, slot))
        rc = acknowledge(v, scanner, slot, &wrong);
    else if (is_code_of_slot(SLOT_CODE, code, len, slot))
        rc = select_slot(v, scanner, slot, now_ms, &wrong);
    else
        rc = take_label(v, scanner, code, len, now_ms, &wrong);
    if (rc == 0)
        return 0;
    if (!is_mistake(rc)) {
        if (err)
            *err = wrong;
        return rc;
    }
    tell(v->scanning, WIRE_SCAN_REFUSED, "", "", error_shown(&wrong, shown));
    return 0;
}
