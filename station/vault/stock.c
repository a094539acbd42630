#include "station/vault/stock.h"

#include "hsm/ahead.h"
#include "station/store/inventory.h"

/* Others make the key when the device asks, or give nothing out. */
static bool has_stock(const struct vault *v)
{
    return v->job && v->mode == IMPRINT_MODE_HSM && job_serials_ahead(&v->job->serials) &&
           v->job->step != JOB_STEP_LOCK && !v->farewells;
}

void stock_ahead(struct vault *v)
{
    struct credential c;

    if (!has_stock(v))
        return;
    credential_init(&c);
    while (hsm_ahead_wants(v->hsm) &&
           credential_peek(v->store, v->order_id, v->key, v->stocked, &c, NULL) == 0 && c.id) {
        hsm_ahead_put(v->hsm, c.storage, c.wrapped.data, c.wrapped.len, &c.key);
        v->stocked = c.id;
    }
    credential_done(&c);
}
