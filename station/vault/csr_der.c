#include "station/vault/csr_der.h"

#include <string.h>

#define MISSING_LENGTH SIZE_MAX

/* The length behind a tag; p moves past it. MISSING_LENGTH when it is cut or not DER. */
static size_t take_length(struct der *d)
{
    size_t length, width;

    if (d->left == 0)
        return MISSING_LENGTH;
    length = *d->p++;
    d->left--;
    if (length < 0x80)
        return length;
    width = length & 0x7f;
    /* 0x80 is the indefinite form, and no request needs three bytes. */
    if (width < 1 || width > 2 || d->left < width)
        return MISSING_LENGTH;
    length = width == 1 ? d->p[0] : (size_t)d->p[0] << 8 | d->p[1];
    d->p += width;
    d->left -= width;
    return length < (width == 1 ? 0x80u : 0x100u) ? MISSING_LENGTH : length;
}

/* Steps into the element that comes next: what remains of d is what follows it. */
int der_enter(struct der *d, uint8_t tag, const char *what, struct der *inner, struct error *err)
{
    struct der at = *d;
    size_t length;

    if (at.left == 0)
        return error_set(err, ERR_PROTOCOL, WHOSE " has no %s", what);
    if (*at.p != tag)
        return error_set(err, ERR_PROTOCOL, WHOSE " has tag 0x%02x where its %s has 0x%02x", *at.p,
                         what, tag);
    at.p++;
    at.left--;
    length = take_length(&at);
    if (length == MISSING_LENGTH)
        return error_set(err, ERR_PROTOCOL, WHOSE ": the length of its %s is not DER", what);
    if (length > at.left)
        return error_set(err, ERR_PROTOCOL, WHOSE ": its %s is cut short", what);
    *inner = (struct der){at.p, length};
    *d = (struct der){at.p + length, at.left - length};
    return 0;
}

int der_end(const struct der *d, const char *what, struct error *err)
{
    if (d->left)
        return error_set(err, ERR_PROTOCOL, WHOSE " has %zu bytes more than its %s", d->left, what);
    return 0;
}

bool der_is(const struct der *d, const void *bytes, size_t len)
{
    return d->left == len && memcmp(d->p, bytes, len) == 0;
}

/* A BIT STRING of whole bytes. */
int der_enter_bits(struct der *d, const char *what, struct der *inner, struct error *err)
{
    int rc = der_enter(d, DER_BIT_STRING, what, inner, err);

    if (rc)
        return rc;
    if (inner->left < 2 || *inner->p != 0)
        return error_set(err, ERR_PROTOCOL, WHOSE ": its %s is empty or ends within a byte", what);
    inner->p++;
    inner->left--;
    return 0;
}
