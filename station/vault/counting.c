#include "station/vault/counting.h"

#include "station/store/ledger.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <string.h>

_Static_assert(sizeof(((struct counter_id *)0)->names) ==
                   sizeof(((struct ledger_counter *)0)->names),
               "both are names of a TPM");
_Static_assert(COUNTER_AUTH_SIZE == HSM_MAC_SIZE, "the authorisation is a MAC");

/* Nothing else that the ledger key makes a MAC of begins so. */
static const char auth_label[] = "imprint tpm counter authorisation v1";

static int derive_auth(struct hsm *hsm, uint8_t auth[COUNTER_AUTH_SIZE], struct error *err)
{
    return hsm_hmac(hsm, auth_label, sizeof auth_label, auth, err);
}

static int need_tpm(const struct config *config, struct error *err)
{
    if (*config->tpm)
        return 0;
    return error_set(
        err, ERR_COUNTER,
        "this station has a counter in a TPM, and station.yaml does not say where: put "
        "its line 'tpm' back, such as tpm: \"device:/dev/tpmrm0\"");
}

static int open_counter(struct anchoring *a, const struct ledger_counter *named, struct error *err)
{
    struct counter_id id = {.index = (uint32_t)named->index};
    uint8_t auth[COUNTER_AUTH_SIZE];
    int rc = need_tpm(a->config, err);

    memcpy(id.tpm, named->tpm, sizeof id.tpm);
    memcpy(id.names, named->names, sizeof id.names);
    if (rc == 0)
        rc = derive_auth(a->hsm, auth, err);
    if (rc == 0)
        rc = counter_open(a->config->tpm, &id, auth, &a->counter, err);
    OPENSSL_cleanse(auth, sizeof auth);
    return rc;
}

static int is_ahead(uint64_t is, int64_t known, struct error *err)
{
    return error_set(err, ERR_COUNTER,
                     "this is an old copy of the station: the TPM has counted to %" PRIu64
                     " and its database knows %" PRId64
                     "; nothing is issued, put the newest one back, or call the security team",
                     is, known);
}

static int is_behind(uint64_t is, int64_t known, struct error *err)
{
    return error_set(err, ERR_COUNTER,
                     "the TPM has counted to %" PRIu64 " and the database knows %" PRId64
                     ": it is not the counter that this station counted with; nothing is issued, "
                     "call the security team",
                     is, known);
}

static int is_another(uint64_t is, struct error *err)
{
    return error_set(err, ERR_COUNTER,
                     "this is an old copy of the station: the TPM has counted to %" PRIu64
                     " for something else than its database knows; nothing is issued, put the "
                     "newest one back, or call the security team",
                     is);
}

/* What is left of a step: extending and counting, counting alone, nothing. */
struct left {
    bool extend, count;
};

/* number and chain are each before the step or after it, the number not before the chain. */
static int compare(const struct store_count *is, const struct store_count *from,
                   const struct store_count *to, struct left *left, struct error *err)
{
    bool at_from = memcmp(is->chain, from->chain, sizeof is->chain) == 0;
    bool at_to = memcmp(is->chain, to->chain, sizeof is->chain) == 0;

    if (is->number > to->number)
        return is_ahead((uint64_t)is->number, to->number, err);
    if (is->number < from->number)
        return is_behind((uint64_t)is->number, to->number, err);
    left->count = is->number == from->number;
    left->extend = left->count && at_from;
    return at_to || left->extend ? 0 : is_another((uint64_t)is->number, err);
}

static int read_count(struct anchoring *a, struct store_count *is, struct error *err)
{
    uint64_t number;
    int rc = counter_read(a->counter, &number, is->chain, err);

    if (rc == 0 && number > INT64_MAX)
        rc = error_set(err, ERR_COUNTER, "the TPM has counted to more than a counter can");
    if (rc == 0)
        is->number = (int64_t)number;
    return rc;
}

static int look(struct anchoring *a, const struct store_count *from, const struct store_count *to,
                struct left *left, struct error *err)
{
    struct store_count is;
    int rc = read_count(a, &is, err);

    return rc ? rc : compare(&is, from, to, left, err);
}

/*
 * Brings the counter one step on, or finds it there. The second look is for whoever wrote between the
 * first one and the writing: another copy, running beside this one.
 */
static int step(void *context, const struct store_count *from, const uint8_t link[32],
                struct error *err)
{
    struct anchoring *a = context;
    struct left left = {false, false};
    struct store_count to;
    int rc;

    store_count_next(from, link, &to);
    rc = look(a, from, &to, &left, err);
    if (rc || !left.count)
        return rc;
    if (left.extend)
        rc = counter_extend(a->counter, link, err);
    if (rc == 0)
        rc = counter_increment(a->counter, err);
    if (rc == 0)
        rc = look(a, from, &to, &left, err);
    return rc == 0 && left.count ? is_another((uint64_t)to.number, err) : rc;
}

int counting_start(struct anchoring *a, struct store *store, struct error *err)
{
    struct ledger_counter named;
    struct store_count now;
    int rc = ledger_counter(store, &named, err);

    if (rc || named.index == 0)
        return rc;
    rc = open_counter(a, &named, err);
    if (rc == 0)
        rc = step(a, &named.from, named.link, err);
    if (rc) {
        counting_end(a);
        return rc;
    }
    store_count_next(&named.from, named.link, &now);
    store_set_counter(store, &now, step, a);
    return 0;
}

enum counting_state counting_probe(struct anchoring *a, struct store *store, struct error *why)
{
    struct ledger_counter named = {.index = 0};
    struct store_count is = {.number = 0}, to;
    struct left left;
    bool there = false;
    int rc = ledger_counter(store, &named, why);

    if (rc == 0)
        rc = open_counter(a, &named, why);
    if (rc == 0)
        rc = read_count(a, &is, why);
    there = rc == 0;
    store_count_next(&named.from, named.link, &to);
    if (there)
        rc = compare(&is, &named.from, &to, &left, why);
    counting_end(a);
    if (rc == 0)
        return COUNTING_FINE;
    return there && is.number >= named.from.number ? COUNTING_AHEAD : COUNTING_GONE;
}

int counting_make(struct anchoring *a, uint32_t index, struct store *store,
                  struct counting_made *made, struct error *err)
{
    uint8_t auth[COUNTER_AUTH_SIZE];
    struct store_count now;
    int rc = need_tpm(a->config, err);

    if (rc == 0)
        rc = derive_auth(a->hsm, auth, err);
    if (rc == 0)
        rc = counter_define(a->config->tpm, index, auth, &made->id, &a->counter, err);
    OPENSSL_cleanse(auth, sizeof auth);
    if (rc == 0)
        rc = read_count(a, &now, err);
    if (rc == 0) {
        made->start = (uint64_t)now.number;
        store_set_counter(store, &now, step, a);
    } else if (a->counter) {
        counting_unmake(a, store);
    }
    return rc;
}

void counting_unmake(struct anchoring *a, struct store *store)
{
    static const struct store_count none;
    struct error ignored = ERROR_INIT;

    store_set_counter(store, &none, NULL, NULL);
    if (a->counter && counter_remove(a->counter, &ignored))
        (void)0; /* an index that stays is refused by the next counting_make, which says so */
    counting_end(a);
}

void counting_put(struct jcs *j, const struct counting_made *made)
{
    jcs_object(j, "counter");
    jcs_int(j, "index", made->id.index);
    jcs_array(j, "names");
    for (int part = 0; part < COUNTER_PARTS; part++)
        jcs_hex(j, NULL, made->id.names[part], sizeof made->id.names[part]);
    jcs_end(j);
    jcs_int(j, "start", (int64_t)made->start);
    jcs_hex(j, "tpm", made->id.tpm, sizeof made->id.tpm);
    jcs_end(j);
}

int counting_catch_up(struct anchoring *a, struct store *copy, int64_t *ahead, struct error *err)
{
    struct ledger_counter named;
    struct store_count is, to;
    int rc = ledger_counter(copy, &named, err);

    *ahead = 0;
    if (rc || named.index == 0)
        return rc;
    rc = open_counter(a, &named, err);
    if (rc == 0)
        rc = read_count(a, &is, err);
    if (rc)
        return rc == ERR_COUNTER ? 0 : rc;
    if (is.number < named.from.number)
        return 0; /* not the station's: it will be told so when it starts */
    store_count_next(&named.from, named.link, &to);
    if (memcmp(is.chain, to.chain, sizeof to.chain)) /* its newest step may be another's */
        *ahead = is.number - named.from.number;
    store_set_counter(copy, &is, step, a);
    return 0;
}

void counting_end(struct anchoring *a)
{
    counter_close(a->counter);
    a->counter = NULL;
}
