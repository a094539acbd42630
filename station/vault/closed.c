#include "station/vault/closed.h"

#include "hsm/mark.h"
#include "station/vault/token_files.h"

int closed_remember(const struct vault *v, struct error *err)
{
    const uint8_t *order = v->history.row.hash;
    bool closed;
    int rc = hsm_mark_find(v->hsm, HSM_MARK_CLOSED, order, &closed, err);

    if (rc == 0 && !closed)
        rc = hsm_mark_set(v->hsm, HSM_MARK_CLOSED, order, err);
    return rc ? rc : token_files_sync(v->config, err);
}

int closed_check_new(const struct vault *v, const struct order *order, struct error *err)
{
    bool closed;
    int rc = hsm_mark_find(v->hsm, HSM_MARK_CLOSED, order->hash, &closed, err);

    if (rc || !closed)
        return rc;
    return error_set(err, ERR_REFUSED,
                     "order '%s' was closed on this station, which was restored from a backup that "
                     "does not know it: it is never opened again; for what is still to be made ask "
                     "the owner for an order with another id and without what was made",
                     order->id);
}

int closed_check_known(const struct vault *v, const struct order_history *h, struct error *err)
{
    bool closed;
    int rc = hsm_mark_find(v->hsm, HSM_MARK_CLOSED, h->row.hash, &closed, err);

    if (rc || !closed)
        return rc;
    return error_set(err, ERR_REFUSED,
                     "order '%s' was closed on this station after the backup from which it was "
                     "restored, and takes no amendment: end it here as well with 'imprint order "
                     "close', and for what is still to be made ask the owner for an order with "
                     "another id and without what was made",
                     h->row.name);
}
