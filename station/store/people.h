/*
 * people: who may sign at this station, and with what.
 *
 * Invariants
 *  1. A row is true when its MAC is right and the newest entry of the ledger that changed the person
 *     bears that MAC. So whoever edits the database can neither add a person, nor change one, nor put an
 *     older row back; taking one out is noticed as well. people_load finds all of it.
 *  2. Names, badges and numbers are given once: those of a removed person are never another's.
 *  3. No PIN and no code of a badge is here. A badge is an HMAC under the ledger key, which only the HSM
 *     has; so is a PIN, over its argon2id hash. The file alone lets nobody try a single PIN.
 *  4. How many wrong PINs a person gave is counted by the ledger: an attempt is written and anchored
 *     before it is judged, and ends with the next entry `signed_in` or `person_pin`.
 *
 * The MAC covers "imprint person v1\0" ‖ u64 id ‖ lp(name) ‖ u64 role ‖ u64 state ‖ badge ‖ salt ‖
 * u64 memory ‖ u64 passes ‖ pin.
 */
#ifndef STATION_STORE_PEOPLE_H
#define STATION_STORE_PEOPLE_H

#include "station/store/store.h"

#define PERSON_NAME_MAX  STORE_OPERATOR_MAX
#define PERSON_SALT_SIZE 16

enum person_role { PERSON_OPERATOR = 1, PERSON_SUPERVISOR = 2, PERSON_ENGINEER = 3 };
enum person_state { PERSON_ACTIVE = 0, PERSON_REMOVED = 1 };

struct person {
    int64_t id; /* from 1 */
    char name[PERSON_NAME_MAX + 1];
    enum person_role role;
    enum person_state state;
    uint8_t badge[32];
    uint8_t salt[PERSON_SALT_SIZE];
    int64_t memory, passes; /* of argon2id: KiB, and how often */
    uint8_t pin[32];
    uint8_t mac[32];
};

/* "operator", "supervisor" or "engineer". Never NULL. */
const char *person_role_name(enum person_role role);

/* The role of that name, 0 for none. */
enum person_role person_role_of(const char *name);

/* Everybody, by number. people_done in any case. */
struct people {
    struct person *of;
    size_t count;
};

/* As the table says, without the HSM: for listings. Errors: ERR_STORE. */
MUST_USE int people_read(struct store *store, struct people *people, struct error *err);

/* The same, and everything of invariant 1 verified; the store has its MACs. Errors: ERR_INTEGRITY. */
MUST_USE int people_load(struct store *store, struct people *people, struct error *err);
void people_done(struct people *people);

/* Who has this name (also of a removed person, and whatever its case), or this badge; NULL for none. */
const struct person *people_named(const struct people *people, const char *name);
const struct person *people_with_badge(const struct people *people, const uint8_t badge[32]);

/* How many are active in a role. */
size_t people_count(const struct people *people, enum person_role role);

/*
 * Adds a person, or changes one that was loaded; inside a transaction, with its ledger entry. id and mac
 * are set here. event: LEDGER_PERSON_REMOVED or LEDGER_PERSON_PIN. Errors: ERR_DUPLICATE for a name or
 * badge that is or was somebody's.
 */
MUST_USE int person_add(struct store *store, struct person *p, struct error *err);
MUST_USE int person_change(struct store *store, struct person *p, const char *event,
                           struct error *err);

/* Wrong PINs since the last right or new one; last is when, 0 for none. */
struct person_tries {
    int64_t wrong, last;
};
MUST_USE int person_tries(struct store *store, int64_t id, struct person_tries *tries,
                          struct error *err);

/* Writes an entry about an attempt: LEDGER_PIN_TRIED or LEDGER_SIGNED_IN, for what; inside a
 * transaction. */
MUST_USE int person_tell(struct store *store, const struct person *p, const char *event,
                         const char *action, struct error *err);

#endif
