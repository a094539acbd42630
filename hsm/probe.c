#include "hsm/probe.h"

#include "agent/ids.h"
#include "hsm/derived_work.h"
#include "hsm/receiver.h"

#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include <string.h>

#define PADDING_MAX 7 /* zero bytes that may follow the PKCS#8 (docs/device-link.md) */
#define PROBE_LABEL "imprint probe"

/* ---- The device, played by OpenSSL. ---- */

/* A PKCS#8 key with at most seven zero bytes behind it, whose public point is this one. */
static bool device_accepts(const uint8_t *payload, size_t len, const uint8_t point[EC_POINT_SIZE])
{
    const uint8_t *p = payload;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)len);
    EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;
    uint8_t found[EC_POINT_SIZE];
    bool good = key && ec_point(key, found, NULL) == 0 && memcmp(found, point, sizeof found) == 0 &&
                payload + len - p <= PADDING_MAX;

    for (; good && p < payload + len; p++)
        good = *p == 0;
    EVP_PKEY_free(key);
    PKCS8_PRIV_KEY_INFO_free(info);
    return good;
}

static bool device_opens(EVP_PKEY *device, unsigned suite, const uint8_t station_pub[EC_POINT_SIZE],
                         uint8_t context[HSM_CONTEXT_SIZE], const struct buf *blob,
                         const uint8_t point[EC_POINT_SIZE])
{
    uint8_t payload[RECEIVER_MAX];
    size_t len = receiver_open(device, suite, station_pub, context, blob, payload);
    bool good = len > 0 && device_accepts(payload, len, point);

    explicit_bzero(payload, sizeof payload);
    return good;
}

/* ---- The station's side of it. ---- */

/* One throw-away credential under a session copy of the storage policy. */
struct trial {
    CK_OBJECT_HANDLE storage;
    struct buf wrapped;
    struct public_key key; /* P-256 */
};

static void trial_done(struct hsm *h, struct trial *t)
{
    session_destroy(h, t->storage);
    buf_done(&t->wrapped);
}

/* What fails here is the token's inability, not an error: hence no struct error. */
static bool trial_init(struct hsm *h, struct trial *t)
{
    struct policy_fill fill = session_fill(h);

    fill.label = PROBE_LABEL;
    fill.session = true;
    *t = (struct trial){.storage = CK_INVALID_HANDLE};
    buf_init(&t->wrapped, RECEIVER_MAX);
    if (storage_generate(h, &fill, &t->storage, NULL) == 0 &&
        credential_make_under(h, t->storage, KEY_P256, &t->key, &t->wrapped, NULL) == 0)
        return true;
    trial_done(h, t);
    return false;
}

static bool suite_works(struct hsm *h, const struct trial *t, unsigned suite)
{
    EVP_PKEY *device = EVP_EC_gen("P-256");
    uint8_t dev_pub[EC_POINT_SIZE], station_pub[EC_POINT_SIZE], context[HSM_CONTEXT_SIZE];
    struct hsm_rewrap r;
    struct buf blob;
    bool works;

    rewrap_init(&r, h, t->wrapped.len);
    buf_init(&blob, RECEIVER_MAX);
    works = device && ec_point(device, dev_pub, NULL) == 0 &&
            session_random(h, context, sizeof context, NULL) == 0 &&
            rewrap_begin_under(&r, t->storage, t->wrapped.data, &t->key, station_pub, NULL) == 0 &&
            rewrap_finish_under(&r, suite, dev_pub, context, &blob, NULL) == 0 &&
            device_opens(device, suite, station_pub, context, &blob, key_point(&t->key));
    rewrap_drop(&r);
    buf_done(&blob);
    EVP_PKEY_free(device);
    return works;
}

/* ---- Symmetric keys: from a master key that is known here, to a device that opens the blob. ---- */

static const uint8_t probe_input[] = "imprint probe";

/* A MAC by OpenSSL. */
static bool mac_is(const uint8_t key[HSM_DERIVED_SIZE], const void *message, size_t len,
                   const uint8_t expected[HSM_MAC_SIZE])
{
    uint8_t mac[HSM_MAC_SIZE];
    bool same = HMAC(EVP_sha256(), key, HSM_DERIVED_SIZE, message, len, mac, NULL) &&
                memcmp(mac, expected, sizeof mac) == 0;

    explicit_bzero(mac, sizeof mac);
    return same;
}

/* A throw-away master key of this value, with the attributes of the policy. */
static CK_RV put_master(struct hsm *h, enum hsm_derivation how, uint8_t value[HSM_DERIVED_SIZE],
                        CK_OBJECT_HANDLE *out)
{
    struct policy_fill fill = session_fill(h);
    struct policy_attributes template;

    fill.label = PROBE_LABEL;
    fill.session = true;
    policy_template(how == HSM_DERIVES_INSIDE ? policy_derivation : policy_hmac, &fill, &template);
    for (CK_ULONG i = 0; i < template.count; i++)
        if (template.list[i].type == CKA_VALUE_LEN) /* it follows from the value */
            template.list[i] = (CK_ATTRIBUTE){CKA_VALUE, value, HSM_DERIVED_SIZE};
    return h->module.p11->C_CreateObject(h->session, template.list, template.count, out);
}

/* Whether the device finds the key that OpenSSL derives from the same master key, and what the token
 * says is a MAC under it is one. */
static bool opens_derived(struct hsm *h, unsigned suite, CK_OBJECT_HANDLE key,
                          const uint8_t master[HSM_DERIVED_SIZE])
{
    EVP_PKEY *device = EVP_EC_gen("P-256");
    uint8_t dev_pub[EC_POINT_SIZE], station_pub[EC_POINT_SIZE], context[HSM_CONTEXT_SIZE],
        mac[HSM_MAC_SIZE], payload[RECEIVER_MAX], message[4 + sizeof probe_input] = {0, 0, 0, 1};
    struct hsm_rewrap r;
    struct buf blob;
    bool works;

    memcpy(message + 4, probe_input, sizeof probe_input);
    rewrap_init(&r, h, 0);
    buf_init(&blob, RECEIVER_MAX);
    works =
        device && ec_point(device, dev_pub, NULL) == 0 &&
        session_random(h, context, sizeof context, NULL) == 0 &&
        rewrap_make_ephemeral(&r, station_pub, NULL) == 0 &&
        derived_wrap_key(&r, suite, dev_pub, context, key, &blob, NULL) == 0 &&
        session_mac(h, key, PROBE_LABEL, sizeof PROBE_LABEL, mac, NULL) == 0 &&
        receiver_open(device, suite, station_pub, context, &blob, payload) == HSM_DERIVED_SIZE &&
        mac_is(master, message, sizeof message, payload) &&
        mac_is(payload, PROBE_LABEL, sizeof PROBE_LABEL, mac);
    explicit_bzero(payload, sizeof payload);
    rewrap_drop(&r);
    buf_done(&blob);
    EVP_PKEY_free(device);
    return works;
}

static bool all_suites_open(struct hsm *h, CK_OBJECT_HANDLE key,
                            const uint8_t master[HSM_DERIVED_SIZE])
{
    for (unsigned suite = IMPRINT_SUITE_ECB; suite <= IMPRINT_SUITE_X963; suite++)
        if (h->can.suites >> suite & 1 && !opens_derived(h, suite, key, master))
            return false;
    return true;
}

/* One way, with what the token said to it in h->can.derive_said. */
static bool derives(struct hsm *h, enum hsm_derivation how)
{
    CK_OBJECT_HANDLE master = CK_INVALID_HANDLE, key = CK_INVALID_HANDLE;
    uint8_t value[HSM_DERIVED_SIZE];
    struct error why = ERROR_INIT;
    bool works = false;
    CK_RV rv;

    if (session_random(h, value, sizeof value, NULL))
        return false;
    rv = put_master(h, how, value, &master);
    session_note(h, rv);
    if (rv == CKR_OK && derived_make(h, how, master, probe_input, sizeof probe_input, &key, &why))
        rv = (CK_RV)why.native;
    else if (rv == CKR_OK)
        works = all_suites_open(h, key, value);
    h->can.derive_said[how] = rv;
    session_destroy(h, key);
    session_destroy(h, master);
    explicit_bzero(value, sizeof value);
    return works;
}

static void find_derivation(struct hsm *h)
{
    if (derives(h, HSM_DERIVES_INSIDE))
        h->can.derivation = HSM_DERIVES_INSIDE;
    else if (derives(h, HSM_DERIVES_IN_VAULT))
        h->can.derivation = HSM_DERIVES_IN_VAULT;
}

/* ---- Attacks on the throw-away keys: what is not refused is noted. ---- */

/* Whoever has the PIN unwraps a stored key as readable. */
static bool unwraps_readable(struct hsm *h, const struct trial *t)
{
    CK_MECHANISM mechanism = {h->can.wrap, NULL, 0};
    struct policy_fill fill = session_fill(h);
    struct policy_attributes template;
    CK_BBOOL readable = CK_FALSE;
    CK_OBJECT_HANDLE key;
    CK_RV rv;

    if (h->can.unwrap_point)
        fill.point = key_bits(&t->key, &fill.point_len);
    policy_template(policy_unwrapped, &fill, &template);
    for (CK_ULONG i = 0; i < template.count; i++)
        if (template.list[i].type == CKA_SENSITIVE)
            template.list[i].pValue = &readable;
    rv = h->module.p11->C_UnwrapKey(h->session, &mechanism, t->storage, t->wrapped.data,
                                    t->wrapped.len, template.list, template.count, &key);
    if (rv == CKR_OK)
        session_destroy(h, key);
    return rv == CKR_OK;
}

/* The storage key wraps a key of another kind. */
static bool wraps_other_kinds(struct hsm *h, const struct trial *t)
{
    CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0}, mechanism = {h->can.wrap, NULL, 0};
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG size = 32, len = RECEIVER_MAX;
    CK_ATTRIBUTE template[] = {{CKA_TOKEN, &no, sizeof no},
                               {CKA_EXTRACTABLE, &yes, sizeof yes},
                               {CKA_VALUE_LEN, &size, sizeof size}};
    uint8_t out[RECEIVER_MAX];
    CK_OBJECT_HANDLE key;
    CK_RV rv = h->module.p11->C_GenerateKey(h->session, &generate, template, 3, &key);

    if (rv != CKR_OK)
        return false;
    rv = h->module.p11->C_WrapKey(h->session, &mechanism, t->storage, key, out, &len);
    session_destroy(h, key);
    return rv == CKR_OK;
}

/* The storage key decrypts a stored blob with a mechanism that it was not made for. */
static bool uses_other_mechanisms(struct hsm *h, const struct trial *t)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_OBJECT_HANDLE key, public;
    uint8_t point[EC_POINT_SIZE], out[RECEIVER_MAX];
    CK_ULONG len = sizeof out;
    CK_RV rv;

    if (session_make_pair(h, policy_device_private, policy_device_public, &key, &public, point,
                          NULL))
        return false;
    rv = h->module.p11->C_WrapKey(h->session, &mechanism, t->storage, key, out, &len);
    session_destroy(h, key);
    session_destroy(h, public);
    return rv == CKR_OK;
}

static bool lets_itself_be_changed(struct hsm *h, const struct trial *t)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE decrypt = {CKA_DECRYPT, &yes, sizeof yes};

    return h->module.p11->C_SetAttributeValue(h->session, t->storage, &decrypt, 1) == CKR_OK;
}

/* The scalar of a device key can simply be read. */
static bool shows_device_keys(struct hsm *h, const struct trial *t)
{
    CK_OBJECT_HANDLE key, public;
    uint8_t point[EC_POINT_SIZE], value[128];
    CK_ATTRIBUTE scalar = {CKA_VALUE, value, sizeof value};
    CK_RV rv;

    (void)t;
    if (session_make_pair(h, policy_device_private, policy_device_public, &key, &public, point,
                          NULL))
        return false;
    rv = h->module.p11->C_GetAttributeValue(h->session, key, &scalar, 1);
    explicit_bzero(value, sizeof value);
    session_destroy(h, key);
    session_destroy(h, public);
    return rv == CKR_OK;
}

static unsigned find_limits(struct hsm *h, const struct trial *t)
{
    static const struct {
        enum hsm_limit limit;
        bool (*passes)(struct hsm *h, const struct trial *t);
    } attacks[] = {
        {HSM_LIMIT_UNWRAP_TEMPLATE, unwraps_readable},
        {HSM_LIMIT_WRAP_TEMPLATE, wraps_other_kinds},
        {HSM_LIMIT_MECHANISMS, uses_other_mechanisms},
        {HSM_LIMIT_SENSITIVE, shows_device_keys},
        {HSM_LIMIT_MODIFIABLE, lets_itself_be_changed}, /* last: it changes the key */
    };
    unsigned limits = 0;

    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++)
        if (attacks[i].passes(h, t))
            limits |= attacks[i].limit;
    return limits;
}

/* Makes the secret keys of the ledger and of its anchor. */
static CK_RV make_secrets(struct hsm *h)
{
    static const struct {
        CK_MECHANISM_TYPE generate;
        const struct policy_row *rows;
    } kinds[] = {{CKM_GENERIC_SECRET_KEY_GEN, policy_hmac}, {CKM_AES_KEY_GEN, policy_anchor}};
    struct policy_fill fill = session_fill(h);
    CK_RV rv = CKR_OK;

    fill.label = PROBE_LABEL;
    fill.session = true;
    for (size_t i = 0; rv == CKR_OK && i < sizeof kinds / sizeof *kinds; i++) {
        CK_MECHANISM mechanism = {kinds[i].generate, NULL, 0};
        struct policy_attributes template;
        CK_OBJECT_HANDLE key;

        policy_template(kinds[i].rows, &fill, &template);
        rv = h->module.p11->C_GenerateKey(h->session, &mechanism, template.list, template.count,
                                          &key);
        session_note(h, rv);
        if (rv == CKR_OK)
            session_destroy(h, key);
    }
    return rv;
}

/* Some tokens unwrap an EC key only when they are told its public point. */
static unsigned find_suites(struct hsm *h, const struct trial *t)
{
    static const unsigned suites[] = {IMPRINT_SUITE_ECB, IMPRINT_SUITE_X963};
    unsigned found = 0;

    for (int with_point = 0; with_point < 2 && !found; with_point++) {
        h->can.unwrap_point = with_point;
        for (size_t s = 0; s < sizeof suites / sizeof *suites; s++)
            if (suite_works(h, t, suites[s]))
                found |= 1u << suites[s];
    }
    return found;
}

int probe_run(struct hsm *h, struct error *err)
{
    static const CK_MECHANISM_TYPE wraps[] = {CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD};

    for (size_t w = 0; w < sizeof wraps / sizeof *wraps && h->can.suites == 0; w++) {
        struct trial t;

        h->can.wrap = wraps[w];
        if (!trial_init(h, &t))
            continue;
        h->can.suites = find_suites(h, &t);
        if (h->can.suites)
            h->can.unenforced = find_limits(h, &t);
        trial_done(h, &t);
    }
    if (h->can.suites == 0)
        h->can.wrap = 0;
    else
        find_derivation(h);
    h->can.secrets = make_secrets(h);
    /* A refusal is the token's answer; a session that is gone is not, nor has it shown a limit. */
    if (h->lost)
        return error_set(err, ERR_HSM, "token '%s' drops its session while it is probed", h->token);
    return 0;
}
