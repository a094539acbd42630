#include "station/vault/algorithms.h"

#include "hsm/credential.h"

/* P-256 is what every token that carries device keys was probed with when it was opened. */
static int check_token(const struct vault *v, struct error *err)
{
    if (v->mode != IMPRINT_MODE_HSM || v->key == KEY_P256)
        return 0;
    return hsm_credential_can(v->hsm, v->key, err);
}

int algorithms_bind(struct vault *v, struct error *err)
{
    int rc = job_key(v->job, v->order, &v->key, err);

    if (rc == 0)
        rc = cert_profile_allows(&v->profile, v->key, v->issuer->scheme, err);
    return rc ? rc : check_token(v, err);
}
