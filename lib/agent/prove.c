#include "agent/prove.h"

#include "agent/slots.h"
#include "agent/symmetric.h"
#include "agent/transcript.h"

static bool prove_with(struct imprint_agent *agent, const struct imprint_agent_secrets *secrets,
                       const struct imprint_agent_writer *w, struct imprint_agent_proof *proof)
{
    const struct imprint_agent_crypto *c = &agent->platform->crypto;
    uint8_t digest[IMPRINT_HASH_SIZE];

    if (proof->alg == IMPRINT_ALG_HMAC_SHA256) {
        proof->len = IMPRINT_HASH_SIZE;
        return IMPRINT_AGENT_WITH_SYMMETRIC &&
               imprint_agent_hmac(agent, secrets->symmetric, IMPRINT_LABEL_PROVE, w->start, w->len,
                                  proof->bytes);
    }
    proof->len = IMPRINT_P256_SIG_SIZE;
    return imprint_agent_hash(agent, IMPRINT_LABEL_PROVE, w->start, w->len, digest) &&
           c->p256_sign(c->context, secrets->scalar, digest, proof->bytes);
}

enum imprint_status imprint_agent_prove(struct imprint_agent *agent,
                                        const uint8_t nonce[IMPRINT_NONCE_SIZE],
                                        struct imprint_agent_proof *proof)
{
    const struct imprint_agent_slot *slot = &agent->slot[agent->committed];
    struct imprint_agent_secrets secrets;
    uint8_t bytes[IMPRINT_AGENT_PROVE_MAX];
    struct imprint_agent_writer w;
    bool ok;

    proof->alg = imprint_agent_object_find(slot, IMPRINT_OBJ_PRIVATE_KEY) < 0
                     ? IMPRINT_ALG_HMAC_SHA256
                     : IMPRINT_ALG_ECDSA_SHA256;
    if (!imprint_agent_slot_secrets(agent, &secrets))
        return IMPRINT_ERR_STORE;
    imprint_agent_write(&w, bytes, sizeof bytes);
    imprint_agent_prove_bytes(agent, proof->alg, nonce, &w);
    ok = !w.bad && prove_with(agent, &secrets, &w, proof);
    imprint_agent_wipe(&secrets, sizeof secrets);
    return ok ? IMPRINT_OK : IMPRINT_ERR_CRYPTO;
}
