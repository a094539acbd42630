#include "manifests/platforms/text.h"

#include "base/codec.h"

#include <openssl/pem.h>
#include <string.h>

bool text_is(const char *text, const char *set, size_t most)
{
    size_t len = strlen(text);

    return len > 0 && len <= most && strspn(text, set) == len;
}

void text_json(struct buf *out, const char *text)
{
    buf_put_u8(out, '"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            buf_put_u8(out, '\\');
        if (c == '\n')
            buf_put_str(out, "\\n");
        else if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_put_u8(out, c);
    }
    buf_put_u8(out, '"');
}

void text_base64url(struct buf *out, const void *bytes, size_t len)
{
    size_t from = out->len;

    base64_put(out, bytes, len);
    if (buf_failed(out))
        return;
    while (out->len > from && out->data[out->len - 1] == '=')
        out->len--;
    for (size_t i = from; i < out->len; i++)
        if (out->data[i] == '+')
            out->data[i] = '-';
        else if (out->data[i] == '/')
            out->data[i] = '_';
}

int text_base64url_decode(const char *text, size_t len, struct buf *out)
{
    struct buf standard;
    int rc =
        memchr(text, '+', len) || memchr(text, '/', len) || memchr(text, '=', len) ? ERR_FORMAT : 0;

    buf_init(&standard, len + 4);
    for (size_t i = 0; i < len; i++)
        buf_put_u8(&standard, (uint8_t)(text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]));
    while (standard.len % 4)
        buf_put_u8(&standard, '=');
    if (rc == 0)
        rc = buf_failed(&standard) ? ERR_FORMAT
                                   : base64_decode((const char *)standard.data, standard.len, out);
    buf_done(&standard);
    return rc;
}

/* The PEM of a certificate with a NUL, or NULL; the caller frees *holder. */
static const char *pem_of(X509 *cert, BIO **holder)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *text = NULL;

    *holder = b;
    if (!b || PEM_write_bio_X509(b, cert) != 1 || BIO_write(b, "", 1) != 1)
        return NULL;
    BIO_get_mem_data(b, &text);
    return text;
}

void text_pem(struct buf *out, X509 *cert)
{
    BIO *holder;
    const char *pem = pem_of(cert, &holder);

    if (pem)
        buf_put_str(out, pem);
    else
        out->failed = true;
    BIO_free(holder);
}

void text_pem_json(struct buf *out, X509 *cert)
{
    BIO *holder;
    const char *pem = pem_of(cert, &holder);

    if (pem)
        text_json(out, pem);
    else
        out->failed = true;
    BIO_free(holder);
}

void text_der_base64(struct buf *out, X509 *cert)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);

    if (len > 0)
        base64_put(out, der, (size_t)len);
    else
        out->failed = true;
    OPENSSL_free(der);
}

void text_jws_input(struct buf *out, const struct buf *header, const struct buf *payload,
                    size_t *dot)
{
    text_base64url(out, header->data, header->len);
    *dot = out->len;
    buf_put_u8(out, '.');
    text_base64url(out, payload->data, payload->len);
}
