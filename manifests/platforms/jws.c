#include "manifests/platforms/jws.h"

#include "manifests/platforms/text.h"
#include "pki/ec.h"

#include <string.h>

#define JWS_MAX (1 << 20)

int jws_sign(struct jws *j, const struct buf *header, const struct buf *payload, EVP_PKEY *key,
             struct error *err)
{
    uint8_t raw[EC_SIG_SIZE];
    int rc;

    buf_init(&j->input, JWS_MAX);
    buf_init(&j->signature, JWS_MAX);
    text_jws_input(&j->input, header, payload, &j->dot);
    rc = buf_check(&j->input, "a JSON Web Signature", err);
    if (rc == 0)
        rc = ec_sign(key, j->input.data, j->input.len, raw, err);
    if (rc == 0)
        text_base64url(&j->signature, raw, sizeof raw);
    return rc ? rc : buf_check(&j->signature, "a JSON Web Signature", err);
}

void jws_done(struct jws *j)
{
    buf_done(&j->input);
    buf_done(&j->signature);
}

static int verify_raw(const struct buf *input, const struct buf *raw, X509 *signer,
                      struct error *err)
{
    uint8_t point[EC_POINT_SIZE];

    if (raw->len != EC_SIG_SIZE || ec_point(X509_get0_pubkey(signer), point, NULL) ||
        ec_verify(point, input->data, input->len, raw->data, NULL))
        return error_set(err, ERR_SIGNATURE, "the signature does not verify");
    return 0;
}

int jws_verify(const char *header, const char *payload, const char *signature, X509 *signer,
               struct error *err)
{
    struct buf input, raw;
    int rc = 0;

    buf_init(&input, JWS_MAX);
    buf_init(&raw, JWS_MAX);
    buf_put_str(&input, header);
    buf_put_u8(&input, '.');
    buf_put_str(&input, payload);
    if (buf_failed(&input))
        rc = error_set(err, ERR_FORMAT, "the signed text is longer than %d bytes", JWS_MAX);
    else if (text_base64url_decode(signature, strlen(signature), &raw))
        rc = error_set(err, ERR_SIGNATURE, "the signature is not base64url");
    if (rc == 0)
        rc = verify_raw(&input, &raw, signer, err);
    buf_done(&input);
    buf_done(&raw);
    return rc;
}

/* The alphabet of base64url needs no escapes. */
static void put_member(struct buf *out, const char *name, const uint8_t *text, size_t len)
{
    buf_printf(out, "\"%s\":\"", name);
    buf_put(out, text, len);
    buf_put_u8(out, '"');
}

void jws_put_payload(struct buf *out, const struct jws *j)
{
    put_member(out, "payload", j->input.data + j->dot + 1, j->input.len - j->dot - 1);
}

void jws_put_protected(struct buf *out, const struct jws *j)
{
    put_member(out, "protected", j->input.data, j->dot);
}

void jws_put_signature(struct buf *out, const struct jws *j)
{
    put_member(out, "signature", j->signature.data, j->signature.len);
}
