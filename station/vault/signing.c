#include "station/vault/signing.h"

#include "base/buf.h"
#include "base/clock.h"
#include "pki/digest.h"
#include "station/store/ledger.h"

#include <argon2.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#define BADGE_LABEL "imprint badge v1"
#define PIN_LABEL   "imprint pin v1"

#define SUPERVISOR (1U << PERSON_SUPERVISOR)
#define ENGINEER   (1U << PERSON_ENGINEER)
#define EITHER     (SUPERVISOR | ENGINEER)
#define ANYBODY    (1U << PERSON_OPERATOR | SUPERVISOR | ENGINEER)

static const struct signing_rule rules[SIGNING_ACTIONS] = {
    [SIGNING_VOID] = {"imprint void", "void", SUPERVISOR, false},
    [SIGNING_DROP] = {"imprint csr drop", "drop", SUPERVISOR, true},
    [SIGNING_REWORK] = {"imprint rework", "rework", SUPERVISOR, true},
    [SIGNING_CLOSE] = {"imprint order close", "close", SUPERVISOR, true},
    [SIGNING_ROTATE] = {"imprint rotate", "rotate", ENGINEER, true},
    [SIGNING_CA] = {"imprint ca", "ca", ENGINEER, true},
    [SIGNING_CLOCK] = {"imprint recover", "clock", SUPERVISOR, true},
    [SIGNING_COUNTER] = {"imprint recover --counter", "counter", ENGINEER, true},
    [SIGNING_PEOPLE] = {"imprint people", "people", SUPERVISOR, true},
    [SIGNING_SLOTS] = {"imprint slots", "slots", EITHER, true},
    [SIGNING_PIN] = {"imprint people pin", "pin", ANYBODY, true},
};

const struct signing_rule *signing_rule(enum signing_action action)
{
    return &rules[action];
}

int signing_badge(struct store *store, struct secret *code, uint8_t badge[32], struct error *err)
{
    struct secret *text = secret_new(sizeof BADGE_LABEL + secret_len(code));
    int rc;

    if (!text)
        return error_set(err, ERR_INTERNAL, "out of memory");
    memcpy(secret_bytes(text), BADGE_LABEL, sizeof BADGE_LABEL);
    memcpy(secret_bytes(text) + sizeof BADGE_LABEL, secret_bytes(code), secret_len(code));
    rc = store_mac(store, secret_bytes(text), secret_len(text), badge, err);
    secret_free(text);
    return rc;
}

/* What the row of a person with this PIN holds. argon2 wipes the memory that it worked in. */
static int hash_pin(struct store *store, const struct person *p, struct secret *pin,
                    uint8_t out[32], struct error *err)
{
    uint8_t text[sizeof PIN_LABEL + 32];
    int rc;

    memcpy(text, PIN_LABEL, sizeof PIN_LABEL);
    rc = argon2id_hash_raw((uint32_t)p->passes, (uint32_t)p->memory, 1, secret_bytes(pin),
                           secret_len(pin), p->salt, sizeof p->salt, text + sizeof PIN_LABEL, 32);
    if (rc)
        rc = error_set(err, ERR_CRYPTO, "cannot hash the PIN: %s", argon2_error_message(rc));
    else
        rc = store_mac(store, text, sizeof text, out, err);
    explicit_bzero(text, sizeof text);
    return rc;
}

static bool is_one_character(struct secret *pin)
{
    const uint8_t *bytes = secret_bytes(pin);

    for (size_t i = 1; i < secret_len(pin); i++)
        if (bytes[i] != bytes[0])
            return false;
    return true;
}

int signing_set_pin(struct store *store, struct person *p, struct secret *pin, struct error *err)
{
    if (secret_len(pin) < SIGNING_PIN_MIN || secret_len(pin) > SIGNING_PIN_MAX ||
        is_one_character(pin))
        return error_set(err, ERR_USAGE,
                         "a PIN has %d to %d characters that are not all the same: nothing was "
                         "changed",
                         SIGNING_PIN_MIN, SIGNING_PIN_MAX);
    if (getrandom(p->salt, sizeof p->salt, 0) != (ssize_t)sizeof p->salt)
        return error_set(err, ERR_INTERNAL, "the system has no random numbers");
    p->memory = SIGNING_MEMORY;
    p->passes = SIGNING_PASSES;
    return hash_pin(store, p, pin, p->pin, err);
}

/* ---- Attempts ---- */

int64_t signing_locked_until(const struct person_tries *tries)
{
    int64_t lock = SIGNING_LOCK;

    if (tries->wrong < SIGNING_TRIES)
        return 0;
    for (int64_t i = SIGNING_TRIES; i < tries->wrong && lock < SIGNING_LOCK_MAX; i++)
        lock *= 2;
    return tries->last + (lock < SIGNING_LOCK_MAX ? lock : SIGNING_LOCK_MAX);
}

static int refuse_locked(const struct person_tries *tries, struct error *err)
{
    char until[CLOCK_TEXT_SIZE];

    clock_text(signing_locked_until(tries), until);
    return error_set(err, ERR_PIN,
                     "after %" PRId64 " wrong PINs this badge is locked until %s: wait, or let a "
                     "supervisor set a new PIN",
                     tries->wrong, until);
}

static int check_lock(struct store *store, const struct person *p, struct person_tries *tries,
                      struct error *err)
{
    int rc = person_tries(store, p->id, tries, err);

    if (rc == 0 && clock_utc() < signing_locked_until(tries))
        rc = refuse_locked(tries, err);
    return rc;
}

/* One entry, durable and anchored. */
static int tell(struct store *store, const struct person *p, const char *event,
                enum signing_action action, struct error *err)
{
    int rc = store_begin(store, err);

    if (rc)
        return rc;
    rc = person_tell(store, p, event, rules[action].action, err);
    if (rc) {
        store_rollback(store);
        return rc;
    }
    return store_commit(store, err);
}

static int refuse_pin(const struct person_tries *before, struct error *err)
{
    int64_t left = SIGNING_TRIES - before->wrong - 1;
    struct person_tries now = {before->wrong + 1, clock_utc()};

    if (left <= 0)
        return refuse_locked(&now, err);
    return error_set(err, ERR_PIN,
                     "the badge or the PIN is wrong: %" PRId64 " more wrong PINs lock the badge",
                     left);
}

/* Counted before it is judged. */
static int judge(struct store *store, const struct person *p, struct secret *pin,
                 enum signing_action action, struct error *err)
{
    struct person_tries tries;
    uint8_t made[32];
    int rc = check_lock(store, p, &tries, err);

    if (rc == 0)
        rc = tell(store, p, LEDGER_PIN_TRIED, action, err);
    if (rc == 0)
        rc = hash_pin(store, p, pin, made, err);
    if (rc == 0 && !sha256_equal(made, p->pin))
        rc = refuse_pin(&tries, err);
    explicit_bzero(made, sizeof made);
    return rc ? rc : tell(store, p, LEDGER_SIGNED_IN, action, err);
}

static int check_role(const struct person *p, enum signing_action action, struct error *err)
{
    const struct signing_rule *rule = &rules[action];

    if (rule->roles & 1U << p->role)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "'%s' is signed by a%s, and '%s' is %s %s: nothing was changed", rule->command,
                     rule->roles == EITHER      ? " supervisor or an engineer"
                     : rule->roles & SUPERVISOR ? " supervisor"
                                                : "n engineer",
                     p->name, p->role == PERSON_SUPERVISOR ? "a" : "an", person_role_name(p->role));
}

int signing_check(struct store *store, const struct people *people, struct secret *badge,
                  struct secret *pin, enum signing_action action, struct store_signature *signature,
                  struct error *err)
{
    const struct person *p;
    uint8_t hash[32];
    int rc = signing_badge(store, badge, hash, err);

    if (rc)
        return rc;
    p = people_with_badge(people, hash);
    if (!p || p->state != PERSON_ACTIVE)
        return error_set(err, ERR_PIN,
                         "the badge or the PIN is wrong: 'imprint people list' says who signs "
                         "here");
    rc = judge(store, p, pin, action, err);
    if (rc == 0)
        rc = check_role(p, action, err);
    if (rc)
        return rc;
    *signature = (struct store_signature){.person = p->id,
                                          .role = person_role_name(p->role),
                                          .action = rules[action].action,
                                          .at = clock_utc()};
    memcpy(signature->name, p->name, sizeof signature->name);
    return 0;
}
