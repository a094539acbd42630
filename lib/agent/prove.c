#include "agent/prove.h"

#include "agent/other.h"
#include "agent/slots.h"
#include "agent/symmetric.h"
#include "agent/transcript.h"

#include <string.h>

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

#if IMPRINT_AGENT_WITH_OTHER_KEYS

/* The whole message: such keys are not handed digests. */
static bool sign_other(struct imprint_agent *agent, const struct imprint_agent_private *key,
                       const uint8_t nonce[IMPRINT_NONCE_SIZE], struct imprint_agent_proof *proof)
{
    const struct imprint_agent_keys *keys = agent->platform->keys;
    uint8_t message[sizeof IMPRINT_LABEL_PROVE + IMPRINT_AGENT_PROVE_MAX];
    struct imprint_agent_writer w;

    proof->alg = imprint_agent_other_proof(key->algorithm);
    memcpy(message, IMPRINT_LABEL_PROVE, sizeof IMPRINT_LABEL_PROVE);
    imprint_agent_write(&w, message + sizeof IMPRINT_LABEL_PROVE, IMPRINT_AGENT_PROVE_MAX);
    imprint_agent_prove_bytes(agent, proof->alg, nonce, &w);
    return !w.bad && keys &&
           keys->sign(keys->context, key->bytes, key->len, message,
                      sizeof IMPRINT_LABEL_PROVE + w.len, proof->bytes, &proof->len);
}

static enum imprint_status prove_other(struct imprint_agent *agent,
                                       const uint8_t nonce[IMPRINT_NONCE_SIZE],
                                       struct imprint_agent_proof *proof)
{
    struct imprint_agent_secrets secrets;
    struct imprint_agent_private key;
    enum imprint_status status = IMPRINT_ERR_STORE;

    if (!imprint_agent_slot_secrets(agent, &secrets))
        return status;
    if (imprint_agent_other_load(agent, agent->committed, secrets.scalar, &key))
        status = sign_other(agent, &key, nonce, proof) ? IMPRINT_OK : IMPRINT_ERR_CRYPTO;
    imprint_agent_wipe(&secrets, sizeof secrets);
    imprint_agent_wipe(&key, sizeof key);
    return status;
}

#endif

enum imprint_status imprint_agent_prove(struct imprint_agent *agent,
                                        const uint8_t nonce[IMPRINT_NONCE_SIZE],
                                        struct imprint_agent_proof *proof)
{
    const struct imprint_agent_slot *slot = &agent->slot[agent->committed];
    struct imprint_agent_secrets secrets;
    uint8_t bytes[IMPRINT_AGENT_PROVE_MAX];
    struct imprint_agent_writer w;
    bool ok;

#if IMPRINT_AGENT_WITH_OTHER_KEYS
    if (slot->record.other)
        return prove_other(agent, nonce, proof);
#endif
    proof->alg =
        IMPRINT_AGENT_WITH_SYMMETRIC && imprint_agent_object_find(slot, IMPRINT_OBJ_PRIVATE_KEY) < 0
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
