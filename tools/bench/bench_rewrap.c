#include "bench_rewrap.h"

#include "agent/ids.h"
#include "hsm/credential.h"

int bench_rewrap(struct bench_station *s, struct credential *c,
                 const uint8_t dev_pub[EC_POINT_SIZE], struct error *err)
{
    static const uint8_t context[HSM_CONTEXT_SIZE] = {1};
    uint8_t station_pub[EC_POINT_SIZE];
    struct hsm_rewrap *rewrap;
    struct buf blob;
    int rc = hsm_credential_rewrap_begin(s->hsm, c->storage, c->wrapped.data, c->wrapped.len,
                                         &c->key, &rewrap, station_pub, err);

    if (rc)
        return rc;
    buf_init(&blob, INVENTORY_WRAPPED_MAX);
    rc = hsm_credential_rewrap_finish(rewrap, IMPRINT_SUITE_ECB, dev_pub, context, &blob, err);
    buf_done(&blob);
    return rc;
}
