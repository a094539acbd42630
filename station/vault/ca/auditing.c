#include "station/vault/ca/auditing.h"

#include <stdio.h>
#include <string.h>

bool auditing_is_gone(const struct issuers *issuers, const char *label)
{
    if (strcmp(label, hsm_key_label(HSM_KEY_ROOT)) == 0)
        return issuers->company_root || issuers->root_destroyed;
    return strcmp(label, hsm_key_label(HSM_KEY_ISSUING_CA)) == 0 && issuers->count > 0 &&
           issuers->of[0].state == ISSUER_DESTROYED;
}

/* What is wrong with a CA's key being there, or not; NULL for nothing. */
static const char *judge(const struct issuers *issuers, unsigned number, bool there,
                         enum hsm_finding_kind *kind)
{
    const struct issuer *i = issuers_of_number(issuers, number);
    bool wanted = i && i->state != ISSUER_DESTROYED && !i->hosted;

    *kind = there ? HSM_FINDING_EXTRA : HSM_FINDING_MISSING;
    if (wanted == there)
        return NULL;
    if (wanted)
        return "the key is not on the token: it is another token, or somebody deleted the key";
    if (i && i->hosted)
        return "a key for an issuing CA that is hosted and has none here: find out who made it";
    if (i)
        return "the ledger tells that this key was destroyed, and it is there: run 'imprint ca "
               "destroy' again, and find out who made it";
    if (number == issuers_next_number(issuers)) {
        *kind = HSM_FINDING_NOTE; /* a request that was killed; the next one takes it */
        return "a key for an issuing CA that was not requested to the end";
    }
    return "a key for an issuing CA that the ledger does not tell of: find out who made it";
}

int auditing_run(const struct issuers *issuers, struct hsm *hsm,
                 void (*finding)(void *context, enum hsm_finding_kind kind, const char *key,
                                 const char *text),
                 void *context, struct error *err)
{
    int rc = 0;

    for (unsigned n = 1; rc == 0 && n <= ISSUERS_MAX; n++) {
        struct public_key key;
        enum hsm_finding_kind kind;
        const char *text;
        char label[32] = "issuing-ca";

        hsm_use_generation(hsm, HSM_KEY_ISSUING_CA, n);
        rc = hsm_key_public(hsm, HSM_KEY_ISSUING_CA, &key, NULL, err);
        text = judge(issuers, n, rc == 0, &kind);
        if (rc == ERR_MISSING || rc == ERR_HSM) /* the audit of the token says the latter */
            rc = 0;
        if (n > 1)
            snprintf(label, sizeof label, "issuing-ca-%u", n);
        if (text && (n > 1 || kind == HSM_FINDING_EXTRA))
            finding(context, kind, label, text);
    }
    hsm_use_generation(hsm, HSM_KEY_ISSUING_CA, 1);
    return rc;
}
