#include "link/transcript.h"

#include "link/cbor_write.h"

#include <string.h>

struct link_key link_key_p256(const uint8_t point[EC_POINT_SIZE])
{
    struct link_key key = {.alg = IMPRINT_ALG_P256, .len = EC_POINT_SIZE};

    memcpy(key.bytes, point, EC_POINT_SIZE);
    return key;
}

struct link_key link_sig_p256(const uint8_t sig[EC_SIG_SIZE])
{
    struct link_key key = {.alg = IMPRINT_ALG_ECDSA_SHA256, .len = EC_SIG_SIZE};

    memcpy(key.bytes, sig, EC_SIG_SIZE);
    return key;
}

uint16_t link_key_algorithm(enum key_type type)
{
    static const uint16_t of[KEY_TYPES] = {
        [KEY_P256] = IMPRINT_ALG_P256,         [KEY_P384] = IMPRINT_ALG_P384,
        [KEY_RSA_2048] = IMPRINT_ALG_RSA_2048, [KEY_RSA_3072] = IMPRINT_ALG_RSA_3072,
        [KEY_ED25519] = IMPRINT_ALG_ED25519,
    };

    return of[type];
}

uint16_t link_proof_algorithm(enum key_type type)
{
    static const uint16_t of[KEY_TYPES] = {
        [KEY_P256] = IMPRINT_ALG_ECDSA_SHA256,       [KEY_P384] = IMPRINT_ALG_ECDSA_SHA384,
        [KEY_RSA_2048] = IMPRINT_ALG_RSA_PSS_SHA256, [KEY_RSA_3072] = IMPRINT_ALG_RSA_PSS_SHA256,
        [KEY_ED25519] = IMPRINT_ALG_EDDSA,
    };

    return of[type];
}

/* RSA's whole SubjectPublicKeyInfo, of the others what is in its BIT STRING. */
struct link_key link_key_of(const struct public_key *key)
{
    struct link_key out = {.alg = link_key_algorithm(key->type)};
    size_t len = key->len;
    const uint8_t *bytes = key_type_is_rsa(key->type) ? key->spki : key_bits(key, &len);

    out.len = (uint16_t)len;
    memcpy(out.bytes, bytes, len);
    return out;
}

bool link_text_valid(const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);

    if (len == 0 || len > max)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return false;
    return true;
}

/* With its NUL: labels are not prefixes of one another. */
static void put_label(struct buf *out, const char *label)
{
    buf_put(out, label, strlen(label) + 1);
}

static void put_lp_text(struct buf *out, const char *text)
{
    buf_put_lp(out, text, strlen(text));
}

static void put_lp_key(struct buf *out, const struct link_key *key)
{
    buf_put_u16(out, (uint16_t)(key->len + 2));
    buf_put_u16(out, key->alg);
    buf_put(out, key->bytes, key->len);
}

static int facts_check(const struct link_facts *f, struct error *err)
{
    const char *wrong = NULL;

    if (f->suite_count < 1 || f->suite_count > IMPRINT_SUITES_MAX)
        wrong = "suites";
    else if (f->chip_id_len < 1 || f->chip_id_len > IMPRINT_CHIP_ID_MAX)
        wrong = "chip id";
    else if (!link_text_valid(f->firmware, IMPRINT_FIRMWARE_MAX))
        wrong = "firmware version";
    else if (f->lifecycle != IMPRINT_LIFE_FACTORY && f->lifecycle != IMPRINT_LIFE_LOCKED)
        wrong = "life cycle";
    else if (f->frame_max < IMPRINT_FRAME_MIN || f->frame_max > IMPRINT_FRAME_MAX)
        wrong = "frame size";
    else if (f->dev_pub.len > LINK_POINT_MAX ||
             (f->dev_pub.alg == IMPRINT_ALG_NONE) != (f->dev_pub.len == 0))
        wrong = "transport key";
    if (wrong)
        return error_set(err, ERR_FORMAT, "the device's %s is not one that the link allows", wrong);
    return 0;
}

int link_facts_encode(const struct link_facts *f, struct buf *out, struct error *err)
{
    int rc = facts_check(f, err);

    if (rc)
        return rc;
    link_cbor_head(out, LINK_CBOR_MAP, f->has_image_hash ? 11 : 10);
    link_cbor_head(out, LINK_CBOR_UINT, IMPRINT_KEY_FACTS_SUITES);
    link_cbor_head(out, LINK_CBOR_ARRAY, f->suite_count);
    for (size_t i = 0; i < f->suite_count; i++)
        link_cbor_head(out, LINK_CBOR_UINT, f->suites[i]);
    link_cbor_uint(out, IMPRINT_KEY_FACTS_MODES, f->modes);
    link_cbor_bytes(out, IMPRINT_KEY_FACTS_CHIP_ID, f->chip_id, f->chip_id_len);
    link_cbor_text(out, IMPRINT_KEY_FACTS_FIRMWARE, f->firmware);
    if (f->has_image_hash)
        link_cbor_bytes(out, IMPRINT_KEY_FACTS_IMAGE_HASH, f->image_hash, IMPRINT_HASH_SIZE);
    link_cbor_bool(out, IMPRINT_KEY_FACTS_DEBUG, f->debug);
    link_cbor_uint(out, IMPRINT_KEY_FACTS_LIFECYCLE, f->lifecycle);
    link_cbor_bool(out, IMPRINT_KEY_FACTS_PINNED, f->pinned);
    link_cbor_uint(out, IMPRINT_KEY_FACTS_FRAME_MAX, f->frame_max);
    link_cbor_uint(out, IMPRINT_KEY_FACTS_KEY_ALG, f->dev_pub.alg);
    link_cbor_bytes(out, IMPRINT_KEY_FACTS_KEY, f->dev_pub.bytes, f->dev_pub.len);
    return buf_check(out, "the device's facts", err);
}

int link_facts_hash(const struct link_facts *facts, uint8_t hash[IMPRINT_HASH_SIZE],
                    struct error *err)
{
    struct buf b;
    int rc;

    buf_init(&b, LINK_FACTS_MAX);
    rc = link_facts_encode(facts, &b, err);
    if (rc == 0)
        sha256(b.data, b.len, hash);
    buf_done(&b);
    return rc;
}

int link_bundle_hash(const struct link_object *objects, size_t count,
                     uint8_t hash[IMPRINT_HASH_SIZE], struct error *err)
{
    struct buf b;
    int rc;

    if (count < 1 || count > IMPRINT_OBJECTS_MAX)
        return error_set(err, ERR_FORMAT, "a bundle has 1 to %d objects, not %zu",
                         IMPRINT_OBJECTS_MAX, count);
    for (size_t i = 1; i < count; i++)
        if (objects[i].type <= objects[i - 1].type)
            return error_set(err, ERR_FORMAT, "the objects of a bundle are not in order of type");
    buf_init(&b, LINK_X_MAX);
    put_label(&b, IMPRINT_LABEL_BUNDLE);
    for (size_t i = 0; i < count; i++) {
        buf_put_u16(&b, objects[i].type);
        buf_put_u16(&b, objects[i].format);
        buf_put_u32(&b, objects[i].length);
        buf_put(&b, objects[i].hash, IMPRINT_HASH_SIZE);
    }
    rc = buf_check(&b, "a bundle", err);
    if (rc == 0)
        sha256(b.data, b.len, hash);
    buf_done(&b);
    return rc;
}

int link_transcript_encode(const struct link_transcript *t, struct buf *x, struct error *err)
{
    if (!link_text_valid(t->environment, IMPRINT_ENVIRONMENT_MAX))
        return error_set(err, ERR_FORMAT, "the environment is not 1 to %d printable characters",
                         IMPRINT_ENVIRONMENT_MAX);
    if (!link_text_valid(t->serial, IMPRINT_SERIAL_MAX))
        return error_set(err, ERR_FORMAT, "a serial is not 1 to %d printable characters",
                         IMPRINT_SERIAL_MAX);
    if (t->chip_id_len < 1 || t->chip_id_len > IMPRINT_CHIP_ID_MAX ||
        t->dev_pub.len > LINK_POINT_MAX || t->station_pub.len > LINK_POINT_MAX)
        return error_set(err, ERR_FORMAT, "a chip id or key is longer than the link allows");
    buf_put_u16(x, t->suite);
    put_lp_text(x, t->environment);
    buf_put_lp(x, t->order_hash, IMPRINT_HASH_SIZE);
    buf_put_lp(x, t->transaction, IMPRINT_TX_SIZE);
    buf_put_lp(x, t->station_nonce, IMPRINT_NONCE_SIZE);
    put_lp_text(x, t->serial);
    buf_put_lp(x, t->chip_id, t->chip_id_len);
    put_lp_key(x, &t->dev_pub);
    put_lp_key(x, &t->station_pub);
    buf_put_lp(x, t->facts_hash, IMPRINT_HASH_SIZE);
    buf_put_lp(x, t->bundle_hash, t->keygen ? 0 : IMPRINT_HASH_SIZE);
    return buf_check(x, "a transcript", err);
}

int link_transcript_hashes(const struct buf *x, uint8_t order_hash[IMPRINT_HASH_SIZE],
                           uint8_t bundle_hash[IMPRINT_HASH_SIZE], struct error *err)
{
    const uint8_t *order, *last = NULL, *skipped;
    size_t order_len, len;
    uint16_t suite;
    struct reader r;

    reader_init(&r, x->data, x->len);
    if (reader_u16(&r, &suite) || reader_lp(&r, &skipped, &len, IMPRINT_ENVIRONMENT_MAX) ||
        reader_lp(&r, &order, &order_len, IMPRINT_HASH_SIZE))
        return error_set(err, ERR_FORMAT, "a transcript is malformed");
    for (len = 0; r.left > 0;)
        if (reader_lp(&r, &last, &len, LINK_X_MAX))
            return error_set(err, ERR_FORMAT, "a transcript is malformed");
    if (order_len != IMPRINT_HASH_SIZE || len != IMPRINT_HASH_SIZE)
        return error_set(err, ERR_FORMAT, "a transcript is malformed");
    memcpy(order_hash, order, IMPRINT_HASH_SIZE);
    memcpy(bundle_hash, last, IMPRINT_HASH_SIZE);
    return 0;
}

int link_transcript_order(const struct buf *x, uint8_t order_hash[IMPRINT_HASH_SIZE],
                          struct error *err)
{
    const uint8_t *order, *skipped;
    size_t order_len, len;
    uint16_t suite;
    struct reader r;

    reader_init(&r, x->data, x->len);
    if (reader_u16(&r, &suite) || reader_lp(&r, &skipped, &len, IMPRINT_ENVIRONMENT_MAX) ||
        reader_lp(&r, &order, &order_len, IMPRINT_HASH_SIZE) || order_len != IMPRINT_HASH_SIZE)
        return error_set(err, ERR_FORMAT, "a transcript is malformed");
    memcpy(order_hash, order, IMPRINT_HASH_SIZE);
    return 0;
}

void link_kek_context(const struct buf *x, uint8_t context[IMPRINT_HASH_SIZE])
{
    struct sha256 *s = sha256_new();

    sha256_update(s, IMPRINT_LABEL_KEK, sizeof IMPRINT_LABEL_KEK);
    sha256_update(s, x->data, x->len);
    sha256_final(s, context);
}

static int put_station_message(const char *label, const struct buf *x, struct buf *out,
                               struct error *err)
{
    put_label(out, label);
    buf_put(out, x->data, x->len);
    return buf_check(out, "a station message", err);
}

int link_station_message(const struct buf *x, struct buf *out, struct error *err)
{
    return put_station_message(IMPRINT_LABEL_STATION, x, out, err);
}

int link_keygen_message(const struct buf *x, struct buf *out, struct error *err)
{
    return put_station_message(IMPRINT_LABEL_KEYGEN, x, out, err);
}

int link_prove_message(const struct link_prove *p, struct buf *out, struct error *err)
{
    put_label(out, IMPRINT_LABEL_PROVE);
    buf_put_u16(out, p->alg);
    buf_put_lp(out, p->nonce, IMPRINT_NONCE_SIZE);
    buf_put_lp(out, p->x_hash, IMPRINT_HASH_SIZE);
    buf_put_lp(out, p->leaf_hash, p->alg == IMPRINT_ALG_HMAC_SHA256 ? 0 : IMPRINT_HASH_SIZE);
    buf_put_u8(out, p->lifecycle);
    buf_put_u32(out, p->commit_count);
    return buf_check(out, "a proof message", err);
}

int link_decommission_message(const uint8_t *chip_id, size_t chip_id_len,
                              const uint8_t identity[IMPRINT_HASH_SIZE], struct buf *out,
                              struct error *err)
{
    if (chip_id_len < 1 || chip_id_len > IMPRINT_CHIP_ID_MAX)
        return error_set(err, ERR_FORMAT, "a chip id is not 1 to %d bytes", IMPRINT_CHIP_ID_MAX);
    put_label(out, IMPRINT_LABEL_DECOMMISSION);
    buf_put_lp(out, chip_id, chip_id_len);
    buf_put_lp(out, identity, IMPRINT_HASH_SIZE);
    return buf_check(out, "a decommission message", err);
}

int link_configuration_message(const uint8_t *contents, size_t len, struct buf *out,
                               struct error *err)
{
    put_label(out, IMPRINT_LABEL_CONFIGURATION);
    buf_put(out, contents, len);
    return buf_check(out, "a configuration", err);
}

int link_signed_object(const uint8_t *contents, size_t len, const uint8_t sig[EC_SIG_SIZE],
                       struct buf *out, struct error *err)
{
    struct link_key key = link_sig_p256(sig);

    put_lp_key(out, &key);
    buf_put(out, contents, len);
    return buf_check(out, "a configuration", err);
}

/* The fields that both statements of an enrolment key have. */
static int put_attestation(const char *label, const struct link_facts *f,
                           const uint8_t nonce[IMPRINT_NONCE_SIZE], struct buf *out,
                           struct error *err)
{
    int rc = facts_check(f, err);

    if (rc)
        return rc;
    put_label(out, label);
    buf_put_u16(out, (uint16_t)(2 * f->suite_count));
    for (size_t i = 0; i < f->suite_count; i++)
        buf_put_u16(out, f->suites[i]);
    buf_put_lp(out, nonce, IMPRINT_NONCE_SIZE);
    buf_put_lp(out, f->chip_id, f->chip_id_len);
    put_lp_key(out, &f->dev_pub);
    buf_put_u8(out, (uint8_t)f->lifecycle);
    return buf_check(out, "an attestation message", err);
}

int link_attest_message(const struct link_facts *f, const uint8_t nonce[IMPRINT_NONCE_SIZE],
                        struct buf *out, struct error *err)
{
    return put_attestation(IMPRINT_LABEL_ATTEST, f, nonce, out, err);
}

int link_attest_key_message(const struct link_facts *f, const uint8_t nonce[IMPRINT_NONCE_SIZE],
                            const struct public_key *made, struct buf *out, struct error *err)
{
    struct link_key key = link_key_of(made);
    int rc = put_attestation(IMPRINT_LABEL_ATTEST_KEY, f, nonce, out, err);

    if (rc)
        return rc;
    put_lp_key(out, &key);
    return buf_check(out, "an attestation message", err);
}

static int put_cert_body(const struct link_station_cert *cert, struct buf *out, struct error *err)
{
    if (!link_text_valid(cert->station, IMPRINT_STATION_MAX) ||
        !link_text_valid(cert->environment, IMPRINT_ENVIRONMENT_MAX) ||
        cert->key.len > LINK_POINT_MAX || cert->sig.len > LINK_POINT_MAX)
        return error_set(err, ERR_FORMAT,
                         "a station certificate needs a station name of 1 to %d and an environment "
                         "of 1 to %d printable characters",
                         IMPRINT_STATION_MAX, IMPRINT_ENVIRONMENT_MAX);
    put_lp_key(out, &cert->key);
    put_lp_text(out, cert->station);
    put_lp_text(out, cert->environment);
    buf_put_u32(out, cert->generation);
    return buf_check(out, "a station certificate", err);
}

int link_station_cert_message(const struct link_station_cert *cert, struct buf *out,
                              struct error *err)
{
    put_label(out, IMPRINT_LABEL_STATION_CERT);
    return put_cert_body(cert, out, err);
}

int link_station_cert_encode(const struct link_station_cert *cert, struct buf *out,
                             struct error *err)
{
    int rc = put_cert_body(cert, out, err);

    if (rc)
        return rc;
    put_lp_key(out, &cert->sig);
    if (out->len > IMPRINT_STATION_CERT_MAX)
        return error_set(err, ERR_FORMAT, "a station certificate is longer than %d bytes",
                         IMPRINT_STATION_CERT_MAX);
    return buf_check(out, "a station certificate", err);
}

static int read_lp_key(struct reader *r, struct link_key *key)
{
    const uint8_t *view;
    size_t len;

    if (reader_lp(r, &view, &len, LINK_POINT_MAX + 2) || len < 2)
        return ERR_FORMAT;
    key->alg = (uint16_t)(view[0] << 8 | view[1]);
    key->len = (uint16_t)(len - 2);
    memcpy(key->bytes, view + 2, key->len);
    return 0;
}

int link_station_cert_parse(const uint8_t *bytes, size_t len, struct link_station_cert *cert,
                            struct error *err)
{
    struct link_station_cert c = {0};
    struct reader r;

    reader_init(&r, bytes, len);
    if (len > IMPRINT_STATION_CERT_MAX || read_lp_key(&r, &c.key) ||
        reader_lp_str(&r, c.station, sizeof c.station) ||
        reader_lp_str(&r, c.environment, sizeof c.environment) || reader_u32(&r, &c.generation) ||
        read_lp_key(&r, &c.sig) || reader_end(&r) ||
        !link_text_valid(c.station, IMPRINT_STATION_MAX) ||
        !link_text_valid(c.environment, IMPRINT_ENVIRONMENT_MAX))
        return error_set(err, ERR_FORMAT, "a station certificate is malformed");
    *cert = c;
    return 0;
}

int link_station_cert_verify(const struct link_station_cert *cert, const struct link_key *authority,
                             struct error *err)
{
    struct buf message;
    int rc;

    if (authority->alg != IMPRINT_ALG_P256 || authority->len != EC_POINT_SIZE ||
        cert->sig.alg != IMPRINT_ALG_ECDSA_SHA256 || cert->sig.len != EC_SIG_SIZE)
        return error_set(err, ERR_SIGNATURE,
                         "the certificate of station '%s' is signed with an unknown algorithm",
                         cert->station);
    buf_init(&message, LINK_X_MAX);
    rc = link_station_cert_message(cert, &message, err);
    if (rc == 0)
        rc = ec_verify(authority->bytes, message.data, message.len, cert->sig.bytes, err);
    if (rc == ERR_SIGNATURE)
        (void)error_set(err, rc, "the certificate of station '%s' was not signed by this authority",
                        cert->station);
    buf_done(&message);
    return rc;
}
