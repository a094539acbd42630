/*
 * ledger: what happened, in order, so that no entry can be changed, dropped or added later (P7).
 *
 * An entry covers one transaction of the store. Its body is canonical JSON:
 *   {"at":<RFC 3339>,"by":<system's user>,"counter":{...},"data":{...},"event":<name>,
 *    "operator":<name>,"seq":<number from 1>,"signature":{...},"why":<reason>}
 * operator and why are there when somebody gave them (store_set_actor), signature when somebody signed
 * (store_sign):
 *   {"at":<when>,"meaning":"<action>: <event>","name":<name>,"person":<number>,"role":<role>}
 * counter when the station has one and this is the first entry of a transaction that counts
 * (store_set_counter). at never goes back.
 * hash chains it to the entry before: pki/ledger_hash.h.
 * mac  = HMAC-SHA256 under the HSM's ledger key over the hash: a bare chain could be extended by
 * anyone who has the file.
 */
#ifndef STATION_STORE_LEDGER_H
#define STATION_STORE_LEDGER_H

#include "base/buf.h"
#include "base/jcs.h"
#include "pki/ledger_hash.h"
#include "station/store/store.h"

/* Writes who runs this program, as entries do in "by". */
void ledger_put_user(struct jcs *j, const char *name);

/* The events and what their data holds are listed in docs/station.md. */

/* Appends an entry inside the open transaction. data is one canonical JSON object (base/jcs.h). */
MUST_USE int ledger_append(struct store *store, const char *event, const struct buf *data,
                           struct error *err);

/* The same in a transaction of its own, for what changes no table: nothing else may be open. Errors:
 * those of store_begin, ledger_append and store_commit. */
MUST_USE int ledger_append_alone(struct store *store, const char *event, const struct buf *data,
                                 struct error *err);

/* A certificate was signed while its device waited (vault/certifier.h); keys were made ahead without
 * one, and destroyed without one; a supervisor allowed that an identity is replaced. */
#define LEDGER_ISSUE          "issue"
#define LEDGER_KEYS           "keys"
#define LEDGER_KEYS_DESTROYED "keys_destroyed"
#define LEDGER_REWORK         "rework"

/* A hosted CA is asked for certificates, whose keys are made for it; and keys of such requests were
 * destroyed without one (requests.h). A certificate that was taken in is LEDGER_ISSUE, with "request". */
#define LEDGER_CSR_EXPORT    "csr_export"
#define LEDGER_CSR_DESTROYED "csr_destroyed"

/* About people (people.h). */
#define LEDGER_PERSON_ADDED   "person_added"
#define LEDGER_PERSON_REMOVED "person_removed"
#define LEDGER_PERSON_PIN     "person_pin" /* a new PIN */
#define LEDGER_PIN_TRIED      "pin_tried"  /* before the PIN is judged */
#define LEDGER_SIGNED_IN      "signed_in"  /* it was right */

/* Somebody signed for a slot: vault/slots.h. */
#define LEDGER_SLOT "slot"

/*
 * The entry after a restore. Its number follows that of the last entry and that of the last one that
 * the token remembers, anchored, which the backup may not have: data names it as "anchored", and
 * only before such an entry may numbers be missing.
 */
#define LEDGER_RESTORED "restored"
MUST_USE int ledger_append_restored(struct store *store, int64_t anchored, const struct buf *data,
                                    struct error *err);

/* The newest restore that lost at least so many entries; seq is 0 when there was none. */
struct ledger_restored {
    int64_t seq;
    int64_t anchored;          /* the last number that the token remembered */
    uint8_t anchored_head[32]; /* and its hash */
    int64_t lost;              /* entries between the backup's last one and that */
    uint8_t ticket[32];        /* hash of the ticket that allowed it */
};
MUST_USE int ledger_last_restored(struct store *store, int64_t least_lost,
                                  struct ledger_restored *restored, struct error *err);

/* The last entry; seq and at are 0 and hash is zero for an empty ledger. */
struct ledger_head {
    int64_t seq;
    uint8_t hash[32];
    int64_t at; /* seconds since 1970 UTC */
};
MUST_USE int ledger_head(struct store *store, struct ledger_head *head, struct error *err);

/*
 * Whether event is the newest that the ledger tells of this credential: "claim", "proven",
 * "burned", "scrapped", "revoked", LEDGER_ISSUE, or NULL for none at all. The tables can be edited without a
 * trace in themselves, the ledger cannot. Errors: ERR_INTEGRITY.
 */
MUST_USE int ledger_expect(struct store *store, int64_t credential, const char *event,
                           struct error *err);

/* Whether the ledger tells nothing of a credential but that its certificate was signed at a claim
 * that never was, or taken in from a hosted CA. Errors: ERR_INTEGRITY. */
MUST_USE int ledger_expect_available(struct store *store, int64_t credential, struct error *err);

/* Whether the newest entry about the clock is one that stopped it (vault/clock_stop.h). */
MUST_USE int ledger_clock_stopped(struct store *store, bool *stopped, struct error *err);

/*
 * The station's counter, as the newest "init" or "counter" entry names it in its member "counter" of
 * data, and the step of the newest entry that counts. index is 0 when the station has none. Errors:
 * ERR_INTEGRITY.
 */
#define LEDGER_COUNTER_NAME_SIZE 34
#define LEDGER_COUNTER_NAMES     2
struct ledger_counter {
    int64_t index;
    uint8_t tpm[LEDGER_COUNTER_NAME_SIZE]; /* names as a TPM gives them: counter/counter.h */
    uint8_t names[LEDGER_COUNTER_NAMES][LEDGER_COUNTER_NAME_SIZE];
    struct store_count from; /* before the newest step */
    uint8_t link[32];        /* what it extends the chain by */
};
MUST_USE int ledger_counter(struct store *store, struct ledger_counter *out, struct error *err);

/* How many credentials of an order the ledger tells to be made, and then claimed and so on. One
 * that was revoked was proven before. */
struct ledger_counts {
    int64_t issued, claimed, proven, burned, scrapped, revoked;
    int64_t spares;   /* keys without a certificate that are left */
    int64_t requests; /* keys that wait for a hosted CA's certificate */
    int64_t reworks;  /* identities that may be replaced, or were */
    int64_t lost;     /* burned without a claim (vault/restore.h) */
};
MUST_USE int ledger_count_order(struct store *store, const uint8_t order_hash[32],
                                struct ledger_counts *counts, struct error *err);

/* How many rotations of a key (NULL: of any) have their record at a leaf below this one. */
MUST_USE int ledger_count_rotations(struct store *store, const char *key, int64_t leaf,
                                    int64_t *count, struct error *err);

/*
 * The key of second signatures in force, as the newest "rotated" entry of "second-key" names it, which
 * has no leaf; generation 0: there is none. Errors: ERR_INTEGRITY.
 */
struct ledger_second_key {
    int64_t generation;
    char algorithm[32];
    uint8_t sha256[32]; /* of its SubjectPublicKeyInfo */
};
MUST_USE int ledger_second_key(struct store *store, struct ledger_second_key *out,
                               struct error *err);

/*
 * Calls each credential of any order that was released and must not be trusted any more: burned,
 * lost or revoked, by the ledger, and by no table. leaf is that of the record which says so, -1 where
 * no entry names it. A negative return ends the walk.
 */
struct ledger_ended {
    int64_t credential, leaf, at; /* at: seconds since 1970 UTC */
};
MUST_USE int ledger_each_ended(struct store *store,
                               int (*each)(void *context, const struct ledger_ended *ended,
                                           struct error *err),
                               void *context, struct error *err);

/* Whether a supervisor allowed that this revoked credential of the order is replaced. */
MUST_USE int ledger_allows_rework(struct store *store, const uint8_t order_hash[32],
                                  int64_t credential, bool *allowed, struct error *err);

/* The credential that this one replaces, as its `issue` entry says; 0 for none. */
MUST_USE int ledger_replaces(struct store *store, int64_t credential, int64_t *replaced,
                             struct error *err);

/* Whether an `issue` entry gave the derived key of this order (its first version) and serial to a
 * device. */
MUST_USE int ledger_has_derived(struct store *store, const uint8_t order_hash[32],
                                const char *serial, bool *issued, struct error *err);

/* The hash of the entry `restored` that the `issue` entry of a credential names: the newest one when a
 * derived key was given out; *found is false for none. */
MUST_USE int ledger_restored_before(struct store *store, int64_t credential, uint8_t hash[32],
                                    bool *found, struct error *err);

/* How many credentials the entries after this number burned as lost. */
MUST_USE int ledger_count_lost(struct store *store, int64_t after, int64_t *count,
                               struct error *err);

/* Whether a restore told that the token had a storage key of this order and the backup no entry. */
MUST_USE int ledger_lost_order(struct store *store, const uint8_t order_hash[32], bool *lost,
                               struct error *err);

/* The number of the first entry about an order, 0 when there is none. */
MUST_USE int ledger_first_of_order(struct store *store, const uint8_t order_hash[32], int64_t *seq,
                                   struct error *err);

/* The leaf that a "proven" entry gave the record of a credential. Errors: ERR_INTEGRITY for none. */
MUST_USE int ledger_leaf(struct store *store, int64_t credential, int64_t *leaf, struct error *err);

struct ledger_entry {
    int64_t seq;
    const char *body; /* valid during the call */
    const uint8_t *hash;
};

/* A negative return ends the walk. */
typedef int (*ledger_visit)(void *context, const struct ledger_entry *entry, struct error *err);

/*
 * Calls each "order", "amendment", "close" and "closed" entry of an order, named by the hash of its
 * first version, from the oldest on; hash is the entry's own, in hexadecimal digits, or empty. Each
 * entry's chain and MAC are verified first if the store has its MAC. Errors: ERR_INTEGRITY.
 */
MUST_USE int ledger_each_version(struct store *store, const uint8_t order_hash[32],
                                 int (*each)(void *context, const char *event, const char *hash,
                                             struct error *err),
                                 void *context, struct error *err);

/*
 * Calls the first entry and then each about the station's issuing CAs ("ca_requested", "ca",
 * "ca_destroyed"; vault/ca/issuers.h), from the oldest on. Each entry's hash and MAC are verified
 * first if the store has its MAC. Errors: ERR_INTEGRITY.
 */
MUST_USE int ledger_each_issuer(struct store *store, ledger_visit each, void *context,
                                struct error *err);

/* Appends the body of the newest entry of this event about an order, its hash and MAC verified, with a
 * NUL. Errors: ERR_INTEGRITY, also when there is none. */
MUST_USE int ledger_of_order(struct store *store, const uint8_t order_hash[32], const char *event,
                             struct buf *body, struct error *err);

/* Whether an "order" entry names this id; for when the tables do not have it. */
MUST_USE int ledger_knows_order(struct store *store, const char *id, bool *known,
                                struct error *err);

/* Calls each entry with a number above after, in order. */
MUST_USE int ledger_each(struct store *store, int64_t after, ledger_visit each, void *context,
                         struct error *err);

/*
 * Calls the entries that a question is about, in order. Of a serial are those that name it, and the
 * batch that it was made in.
 */
struct ledger_filter {
    const char *event, *serial; /* NULL: any */
    int64_t last;               /* only so many, the newest; 0: all */
};
MUST_USE int ledger_find(struct store *store, const struct ledger_filter *filter, ledger_visit each,
                         void *context, struct error *err);

/* The body of the first entry, its MAC verified; appended with a NUL. Errors: ERR_INTEGRITY. */
MUST_USE int ledger_first(struct store *store, struct buf *body, struct error *err);

/*
 * Compares the ledger with what the token remembers of it. The same entry: fine. Newer entries that
 * chain from the anchored one and bear the station's MACs: a crash came between commit and anchor,
 * and nothing of them was released. The chain is followed from the first entry on, so that no entry
 * that is read later was changed. *seq and head receive the last entry, which is to be anchored.
 * Errors: ERR_ROLLBACK for an older database or another history, ERR_INTEGRITY for entries that are
 * not this station's.
 */
MUST_USE int ledger_resume(struct store *store, int64_t anchored, const uint8_t anchored_head[32],
                           int64_t *seq, uint8_t head[32], struct error *err);

/*
 * Verifies numbers, chain and MACs of the entries from number first to the last one, and gives what
 * was verified. Errors: ERR_MISSING when there is no entry first; ERR_INTEGRITY.
 */
struct ledger_part {
    int64_t first, last, count; /* first is a later one where entries were lost */
    uint8_t prev[32];           /* hash of the entry before the first, zero when that is number 1 */
    uint8_t head[32];           /* hash of the last */
    int64_t at;                 /* time of the last */
};
MUST_USE int ledger_verify_part(struct store *store, int64_t first, struct ledger_part *part,
                                struct error *err);

/*
 * Verifies numbers, chain and MACs from the first entry to the last, that the ledger's indexes hold
 * what it tells, and that the tables hold as many versions of orders, credentials, claims, proofs, burned ones and records as the entries
 * say. *count receives the number of entries. Errors: ERR_INTEGRITY with the number of the entry.
 */
MUST_USE int ledger_verify(struct store *store, int64_t *count, struct error *err);

/*
 * Numbers and chain alone, for who has no token: nothing was changed, dropped or added by somebody who did
 * not write the entries after it anew. *count receives the number of entries. Errors: ERR_INTEGRITY.
 */
MUST_USE int ledger_follow(struct store *store, int64_t *count, struct error *err);

/* Whether the database has the entry that the token remembers as the newest (hsm/anchor.h). Nothing is
 * said of those after it. Errors: ERR_ROLLBACK for an older database or another history. */
MUST_USE int ledger_check_anchor(struct store *store, int64_t anchored,
                                 const uint8_t anchored_head[32], struct error *err);

#endif
