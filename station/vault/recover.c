#include "station/vault/recover.h"

#include "base/clock.h"
#include "base/jcs.h"
#include "hsm/mark.h"
#include "station/store/ledger.h"
#include "station/vault/counting.h"
#include "station/vault/published.h"
#include "station/vault/token_files.h"

#include <string.h>

static int station_hash(struct hsm *hsm, uint8_t hash[SHA256_SIZE], struct error *err)
{
    uint8_t point[EC_POINT_SIZE], spki[EC_SPKI_SIZE];
    int rc = hsm_key_point(hsm, HSM_KEY_STATION_AUTH, point, err);

    if (rc)
        return rc;
    ec_spki(point, spki);
    sha256(spki, sizeof spki, hash);
    return 0;
}

static int check_action(const struct ticket *ticket, enum ticket_action action, struct error *err)
{
    if (ticket->action == action)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "ticket '%s' is for another act: one for the clock goes with neither --backup "
                     "nor --counter, \"restore\" with --backup DIR, \"counter\" with --counter "
                     "INDEX",
                     ticket->id);
}

int recover_ticket(const struct config *config, struct store *store, struct hsm *hsm,
                   const char *path, enum ticket_action action, struct ticket *ticket,
                   struct error *err)
{
    uint8_t station[SHA256_SIZE];
    STACK_OF(X509) *pins = NULL;
    int rc = vault_read_signers(config, store, &pins, err);

    if (rc == 0)
        rc = ticket_read(path, pins, ticket, err);
    if (rc == 0)
        rc = station_hash(hsm, station, err);
    if (rc == 0)
        rc = ticket_check(ticket, config->environment, station, clock_utc(), err);
    signed_pins_free(pins);
    return rc ? rc : check_action(ticket, action, err);
}

static int was_used(const struct ticket *ticket, struct error *err)
{
    return error_set(
        err, ERR_REFUSED,
        "ticket '%s' was used before, and each is good once: ask the owner for another",
        ticket->id);
}

/* What the token remembers beside the ticket: a restore by it, begun at this entry. */
static int restore_mark(const struct ticket *ticket, const struct hsm_anchor *anchored,
                        uint8_t mark[SHA256_SIZE], struct error *err)
{
    static const char label[] = "imprint restore v1";
    struct buf text;
    int rc;

    buf_init(&text, 256);
    buf_put(&text, label, sizeof label);
    buf_put(&text, ticket->hash, sizeof ticket->hash);
    buf_put_u64(&text, anchored->sequence);
    buf_put(&text, anchored->head, sizeof anchored->head);
    rc = buf_check(&text, "the mark of a restore", err);
    if (rc == 0)
        sha256(text.data, text.len, mark);
    buf_done(&text);
    return rc;
}

int recover_check_restore(struct hsm *hsm, const struct ticket *ticket,
                          const struct hsm_anchor *anchored, struct error *err)
{
    uint8_t mark[SHA256_SIZE];
    bool used, begun = false;
    int rc = hsm_mark_find(hsm, HSM_MARK_TICKET, ticket->hash, &used, err);

    if (rc || !used)
        return rc;
    rc = restore_mark(ticket, anchored, mark, err);
    if (rc == 0)
        rc = hsm_mark_find(hsm, HSM_MARK_TICKET, mark, &begun, err);
    return rc || begun ? rc : was_used(ticket, err);
}

static int remember(const struct config *config, struct hsm *hsm, const uint8_t hash[SHA256_SIZE],
                    struct error *err)
{
    bool used;
    int rc = hsm_mark_find(hsm, HSM_MARK_TICKET, hash, &used, err);

    if (rc == 0 && !used)
        rc = hsm_mark_set(hsm, HSM_MARK_TICKET, hash, err);
    return rc ? rc : token_files_sync(config, err);
}

/* The mark first: a ticket that is used without one would be used up by a kill. */
int recover_begin_restore(const struct config *config, struct hsm *hsm, const struct ticket *ticket,
                          const struct hsm_anchor *anchored, struct error *err)
{
    uint8_t mark[SHA256_SIZE];
    int rc = restore_mark(ticket, anchored, mark, err);

    if (rc == 0)
        rc = remember(config, hsm, mark, err);
    return rc ? rc : remember(config, hsm, ticket->hash, err);
}

static int use(const struct config *config, struct hsm *hsm, const struct ticket *ticket,
               struct error *err)
{
    int rc = hsm_mark_set(hsm, HSM_MARK_TICKET, ticket->hash, err);

    if (rc == ERR_EXISTS)
        return was_used(ticket, err);
    return rc ? rc : token_files_sync(config, err);
}

static int check_clock(struct store *store, int64_t now, struct error *err)
{
    char least[CLOCK_TEXT_SIZE], clock[CLOCK_TEXT_SIZE];
    struct ledger_head last;
    bool stopped;
    int rc = ledger_clock_stopped(store, &stopped, err);

    if (rc == 0 && !stopped)
        rc = error_set(err, ERR_REFUSED, "the clock is not stopped: there is nothing to confirm");
    if (rc == 0)
        rc = ledger_head(store, &last, err);
    if (rc)
        return rc;
    if (now >= last.at && now >= clock_build())
        return 0;
    clock_text(last.at > clock_build() ? last.at : clock_build(), least);
    clock_text(now, clock);
    return error_set(err, ERR_CLOCK,
                     "the clock says %s and must be past %s: set it, or wait until then; the "
                     "ticket is still good",
                     clock, least);
}

static int confirm(struct store *store, const struct ticket *ticket, int64_t now, struct error *err)
{
    char clock[CLOCK_TEXT_SIZE];
    struct buf data;
    struct jcs j;
    int rc;

    clock_text(now, clock);
    buf_init(&data, 256);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_str(&j, "clock", clock);
    jcs_hex(&j, "ticket", ticket->hash, sizeof ticket->hash);
    jcs_end(&j);
    rc = ledger_append_alone(store, "clock_confirmed", &data, err);
    buf_done(&data);
    return rc;
}

int recover_clock(const struct config *config, struct store *store, struct hsm *hsm,
                  const char *path, struct error *err)
{
    struct ticket ticket;
    int64_t now = clock_utc();
    int rc = check_clock(store, now, err);

    if (rc == 0)
        rc = recover_ticket(config, store, hsm, path, TICKET_CLOCK, &ticket, err);
    if (rc == 0)
        rc = use(config, hsm, &ticket, err);
    return rc ? rc : confirm(store, &ticket, now, err);
}

/* ---- the counter ---- */

/* Only one that cannot be used any more is replaced. A copy is told by the one that is there. */
static int check_counter_gone(struct anchoring *a, struct store *store, struct error *err)
{
    struct error why = ERROR_INIT;
    struct ledger_counter named;
    int rc = ledger_counter(store, &named, err);

    if (rc)
        return rc;
    if (named.index == 0)
        return error_set(err, ERR_REFUSED,
                         "this station has no counter, and gets none: it would be made with the "
                         "station");
    rc = counting_probe(a, store, &why);
    if (rc == COUNTING_FINE)
        return error_set(err, ERR_REFUSED,
                         "the station's counter is there and right: nothing is to be replaced");
    if (rc == COUNTING_AHEAD) {
        if (err)
            *err = why;
        return ERR_COUNTER;
    }
    return 0;
}

static int name_counter(struct store *store, const struct ticket *ticket,
                        const struct counting_made *made, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    counting_put(&j, made);
    jcs_hex(&j, "ticket", ticket->hash, sizeof ticket->hash);
    jcs_end(&j);
    rc = ledger_append_alone(store, "counter", &data, err);
    buf_done(&data);
    return rc;
}

int recover_counter(struct anchoring *a, struct store *store, const char *path, uint32_t index,
                    struct error *err)
{
    struct counting_made made;
    struct ticket ticket;
    bool used = false;
    int rc = recover_ticket(a->config, store, a->hsm, path, TICKET_COUNTER, &ticket, err);

    if (rc == 0)
        rc = hsm_mark_find(a->hsm, HSM_MARK_TICKET, ticket.hash, &used, err);
    if (rc == 0 && used)
        rc = was_used(&ticket, err);
    if (rc == 0)
        rc = check_counter_gone(a, store, err);
    if (rc == 0)
        rc = published_check_folders(a->config, store, err);
    if (rc == 0)
        rc = published_check_after(a->config, store, &ticket, err);
    if (rc == 0)
        rc = counting_make(a, index, store, &made, err);
    if (rc)
        return rc;
    rc = use(a->config, a->hsm, &ticket, err);
    if (rc)
        counting_unmake(a, store);
    return rc ? rc : name_counter(store, &ticket, &made, err);
}
