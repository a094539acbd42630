#include "station/vault/hosted/hosted_job.h"

#include "station/vault/vault.h"

int hosted_check_job(const struct vault *v, struct error *err)
{
    if (!v->issuer->hosted || job_serials_ahead(&v->job->serials))
        return 0;
    return error_set(
        err, ERR_REFUSED,
        "the serials of this job are %s, known only when a device is in its slot, and "
        "its certificates come from hosted CA '%s', which is asked long before: choose "
        "'assigned' or 'listed' serials, or an order with an issuing CA of the "
        "station's own",
        v->job->serials.source == SOURCE_DEVICE ? "the devices' own" : "scanned", v->issuer->name);
}

int hosted_check_sign(const struct vault *v, struct error *err)
{
    if (!v->issuer->hosted)
        return 0;
    return error_set(
        err, ERR_REFUSED,
        "the certificates of order '%s' come from hosted CA '%s', and the station signs "
        "none itself: 'imprint csr export' makes keys and requests, and 'imprint csr "
        "import' takes the certificates in",
        v->order->id, v->issuer->name);
}

int hosted_check_ask(const struct vault *v, struct error *err)
{
    if (v->issuer && v->issuer->hosted)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "order '%s' names no hosted CA for this station, which signs its certificates "
                     "itself: 'imprint generate'",
                     v->order->id);
}
