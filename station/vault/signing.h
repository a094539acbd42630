/*
 * signing: a person signs for what a command does, with badge and PIN, each time anew.
 *
 * Nobody stays logged in: a signature is asked for by one command and is good for its entries alone. The
 * rules say which roles may sign for what; docs/people.md has the same table, and a test compares them.
 *
 * A wrong PIN costs an attempt, which is in the ledger and anchored before the PIN is judged: neither a
 * killed process nor a restart gives it back. After SIGNING_TRIES in a row the person is locked for
 * SIGNING_LOCK seconds, and after each further one for twice as long, at most SIGNING_LOCK_MAX; a
 * supervisor ends it with a new PIN. Times are the ledger's, which never go back: a clock that is set
 * back lengthens a lock, and one that is set ahead stops the station when it is set right
 * (vault/clock_stop.h).
 */
#ifndef STATION_VAULT_SIGNING_H
#define STATION_VAULT_SIGNING_H

#include "base/secret.h"
#include "station/store/people.h"

#define SIGNING_TRIES    5
#define SIGNING_LOCK     (15 * 60)
#define SIGNING_LOCK_MAX (24 * 60 * 60)

/* How a PIN is hashed from now on: 100 to 200 ms, and 64 MiB. A row keeps its own until its PIN changes. */
#define SIGNING_MEMORY  65536 /* KiB */
#define SIGNING_PASSES  2
#define SIGNING_PIN_MIN 6
#define SIGNING_PIN_MAX 64

enum signing_action {
    SIGNING_VOID,
    SIGNING_DROP,
    SIGNING_REWORK,
    SIGNING_CLOSE,
    SIGNING_ROTATE,
    SIGNING_CA,
    SIGNING_CLOCK,
    SIGNING_COUNTER,
    SIGNING_PEOPLE,
    SIGNING_SLOTS,
    SIGNING_PIN, /* one's own */
    SIGNING_ACTIONS
};

struct signing_rule {
    const char *command; /* "imprint void" */
    const char *action;  /* begins the meaning in the ledger: "void" */
    unsigned roles;      /* bits: 1 << enum person_role */
    bool named;          /* without people, --by must say who works */
};
const struct signing_rule *signing_rule(enum signing_action action);

/*
 * Who this badge and PIN are, when they are right and the person may sign for it. people: loaded, verified.
 * Writes one entry of the ledger, and another when the PIN is right; no transaction is open. *signature
 * is for store_sign. Errors: ERR_PIN for a badge that nobody has, a wrong PIN or a locked person;
 * ERR_REFUSED for another role; those of the store.
 */
MUST_USE int signing_check(struct store *store, const struct people *people, struct secret *badge,
                           struct secret *pin, enum signing_action action,
                           struct store_signature *signature, struct error *err);

/* Until when a person with these attempts is locked; 0: not at all. Seconds since 1970 UTC. */
int64_t signing_locked_until(const struct person_tries *tries);

/* The HMAC of a badge's code. */
MUST_USE int signing_badge(struct store *store, struct secret *code, uint8_t badge[32],
                           struct error *err);

/* Gives a person a PIN: salt, memory, passes and pin. Errors: ERR_USAGE for one that is too short, too
 * long or of one character only. */
MUST_USE int signing_set_pin(struct store *store, struct person *p, struct secret *pin,
                             struct error *err);

#endif
