#include "station/vault/counting.h"

#include "station/store/ledger.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <string.h>

_Static_assert(COUNTER_NAME_SIZE == LEDGER_COUNTER_NAME_SIZE, "both are names of a TPM");
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
    memcpy(id.name, named->name, sizeof id.name);
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

/* Whether the counter is at value or one short of it. */
static int compare(struct anchoring *a, int64_t value, uint64_t *is, struct error *err)
{
    int rc = counter_read(a->counter, is, err);

    if (rc)
        return rc;
    if (*is > (uint64_t)value)
        return is_ahead(*is, value, err);
    return *is + 1 < (uint64_t)value ? is_behind(*is, value, err) : 0;
}

/* Brings the counter to value, which is its own or the next one. */
static int step(void *context, int64_t value, struct error *err)
{
    struct anchoring *a = context;
    uint64_t is;
    int rc = compare(a, value, &is, err);

    return rc || is == (uint64_t)value ? rc : counter_increment(a->counter, err);
}

int counting_start(struct anchoring *a, struct store *store, struct error *err)
{
    struct ledger_counter named;
    int rc = ledger_counter(store, &named, err);

    if (rc || named.index == 0)
        return rc;
    rc = open_counter(a, &named, err);
    if (rc == 0)
        rc = step(a, named.value, err);
    if (rc)
        counting_end(a);
    else
        store_set_counter(store, named.value, step, a);
    return rc;
}

enum counting_state counting_probe(struct anchoring *a, struct store *store, struct error *why)
{
    struct ledger_counter named = {.value = INT64_MAX};
    uint64_t is = 0;
    int rc = ledger_counter(store, &named, why);

    if (rc == 0)
        rc = open_counter(a, &named, why);
    if (rc == 0)
        rc = compare(a, named.value, &is, why);
    counting_end(a);
    if (rc == 0)
        return COUNTING_FINE;
    return is > (uint64_t)named.value ? COUNTING_AHEAD : COUNTING_GONE;
}

int counting_make(struct anchoring *a, uint32_t index, struct store *store,
                  struct counting_made *made, struct error *err)
{
    uint8_t auth[COUNTER_AUTH_SIZE];
    int rc = need_tpm(a->config, err);

    if (rc == 0)
        rc = derive_auth(a->hsm, auth, err);
    if (rc == 0)
        rc = counter_define(a->config->tpm, index, auth, &made->id, &a->counter, err);
    OPENSSL_cleanse(auth, sizeof auth);
    if (rc == 0)
        rc = counter_read(a->counter, &made->start, err);
    if (rc == 0)
        store_set_counter(store, (int64_t)made->start, step, a);
    else if (a->counter)
        counting_unmake(a, store);
    return rc;
}

void counting_unmake(struct anchoring *a, struct store *store)
{
    struct error ignored = ERROR_INIT;

    store_set_counter(store, 0, NULL, NULL);
    if (a->counter && counter_remove(a->counter, &ignored))
        (void)0; /* an index that stays is refused by the next counting_make, which says so */
    counting_end(a);
}

void counting_put(struct jcs *j, const struct counting_made *made)
{
    jcs_object(j, "counter");
    jcs_int(j, "index", made->id.index);
    jcs_hex(j, "name", made->id.name, sizeof made->id.name);
    jcs_int(j, "start", (int64_t)made->start);
    jcs_hex(j, "tpm", made->id.tpm, sizeof made->id.tpm);
    jcs_end(j);
}

int counting_catch_up(struct anchoring *a, struct store *copy, int64_t *ahead, struct error *err)
{
    struct ledger_counter named;
    uint64_t is = 0;
    int rc = ledger_counter(copy, &named, err);

    *ahead = 0;
    if (rc || named.index == 0)
        return rc;
    rc = open_counter(a, &named, err);
    if (rc == 0)
        rc = counter_read(a->counter, &is, err);
    if (rc)
        return rc == ERR_COUNTER ? 0 : rc;
    if (is + 1 < (uint64_t)named.value)
        return 0; /* not the station's: it will be told so when it starts */
    if (is > (uint64_t)named.value)
        *ahead = (int64_t)(is - (uint64_t)named.value);
    store_set_counter(copy, (int64_t)is, step, a);
    return 0;
}

void counting_end(struct anchoring *a)
{
    counter_close(a->counter);
    a->counter = NULL;
}
