/* Sections 2 and 3 of docs/device-link.md: payloads that are not the one form of their message. */
#include "station/conform/bench.h"

#include <string.h>

/* A payload: bytes, so many bytes of a nonce, more bytes. */
struct form {
    const char *what; /* follows "with" in a message */
    const char *head;
    size_t head_len;
    size_t nonce;
    const char *tail;
    size_t tail_len;
};
#define BYTES(text) text, sizeof(text) - 1
#define FORM(what, head, nonce, tail)                                                              \
    {                                                                                              \
        what, BYTES(head), nonce, BYTES(tail)                                                      \
    }

/* HELLO with each of these must be answered with FORMAT. */
static int refuse_hello(struct bench *b, const struct form *forms, size_t count, struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        const struct form *f = &forms[i];
        struct buf payload;
        uint8_t *nonce;

        buf_init(&payload, 256);
        buf_put(&payload, f->head, f->head_len);
        nonce = buf_grow(&payload, f->nonce);
        if (nonce)
            memset(nonce, 'n', f->nonce);
        buf_put(&payload, f->tail, f->tail_len);
        rc = bench_refused(b, IMPRINT_MSG_HELLO, &payload, STATUS(FORMAT), err);
        if (rc)
            (void)error_prefix(err, "HELLO with %s", f->what);
    }
    return rc;
}
#define REFUSE(b, forms, err) refuse_hello(b, forms, sizeof(forms) / sizeof *(forms), err)

static int unknown_member(struct bench *b, struct error *err)
{
    static const struct form forms[] = {
        FORM("a member 2", "\xa2\x01\x58\x20", 32, "\x02\x00"),
        FORM("a member 0", "\xa2\x00\x00\x01\x58\x20", 32, ""),
        FORM("a member whose key is a text", "\xa2\x01\x58\x20", 32, "\x61\x61\x00"),
        FORM("a member 4294967296", "\xa2\x01\x58\x20", 32,
             "\x1b\x00\x00\x00\x01\x00\x00\x00\x00\x00"),
    };

    return REFUSE(b, forms, err);
}

static int missing_member(struct bench *b, struct error *err)
{
    static const struct form forms[] = {
        FORM("an empty map", "\xa0", 0, ""),
        FORM("another member instead of the nonce", "\xa1\x02\x58\x20", 32, ""),
    };

    return REFUSE(b, forms, err);
}

static int trailing(struct bench *b, struct error *err)
{
    static const struct form forms[] = {
        FORM("a byte after the map", "\xa1\x01\x58\x20", 32, "\x00"),
        FORM("a map after the map", "\xa1\x01\x58\x20", 32, "\xa0"),
    };

    return REFUSE(b, forms, err);
}

static int not_shortest(struct bench *b, struct error *err)
{
    static const struct form forms[] = {
        FORM("a key in two bytes", "\xa1\x18\x01\x58\x20", 32, ""),
        FORM("a map head in two bytes", "\xb8\x01\x01\x58\x20", 32, ""),
        FORM("a length in three bytes", "\xa1\x01\x59\x00\x20", 32, ""),
        FORM("a length in five bytes", "\xa1\x01\x5a\x00\x00\x00\x20", 32, ""),
    };

    return REFUSE(b, forms, err);
}

static int indefinite(struct bench *b, struct error *err)
{
    static const struct form forms[] = {
        FORM("a map of indefinite length", "\xbf\x01\x58\x20", 32, "\xff"),
        FORM("a byte string of indefinite length", "\xa1\x01\x5f\x58\x20", 32, "\xff"),
    };

    return REFUSE(b, forms, err);
}

static int repeated(struct bench *b, struct error *err)
{
    static const struct form forms[] = {
        FORM("its member twice", "\xa2\x01\x41\x00\x01\x58\x20", 32, ""),
    };

    return REFUSE(b, forms, err);
}

static int wrong_type(struct bench *b, struct error *err)
{
    static const struct form forms[] = {
        FORM("a text for a nonce", "\xa1\x01\x78\x20", 32, ""),
        FORM("a number for a nonce", "\xa1\x01\x18\x20", 0, ""),
        FORM("an array for a nonce", "\xa1\x01\x81\x58\x20", 32, ""),
        FORM("null for a nonce", "\xa1\x01\xf6", 0, ""),
        FORM("a tagged nonce", "\xa1\x01\xc2\x58\x20", 32, ""),
        FORM("a float for a nonce", "\xa1\x01\xf9\x3c\x00", 0, ""),
        FORM("a byte string instead of the map", "\x58\x20", 32, ""),
        FORM("an array instead of the map", "\x81\x58\x20", 32, ""),
    };

    return REFUSE(b, forms, err);
}

static int wrong_size(struct bench *b, struct error *err)
{
    static const struct form forms[] = {
        FORM("a nonce of 31 bytes", "\xa1\x01\x58\x1f", 31, ""),
        FORM("a nonce of 33 bytes", "\xa1\x01\x58\x21", 33, ""),
        FORM("an empty nonce", "\xa1\x01\x40", 0, ""),
    };

    return REFUSE(b, forms, err);
}

static int cut(struct bench *b, struct error *err)
{
    static const struct form forms[] = {
        FORM("no payload", "", 0, ""),
        FORM("a map head alone", "\xa1", 0, ""),
        FORM("a key alone", "\xa1\x01", 0, ""),
        FORM("half a head", "\xa1\x01\x58", 0, ""),
        FORM("a byte less than announced", "\xa1\x01\x58\x20", 31, ""),
        FORM("a length of 4294967295", "\xa1\x01\x5a\xff\xff\xff\xff", 32, ""),
        FORM("a length of 2^64 - 1", "\xa1\x01\x5b\xff\xff\xff\xff\xff\xff\xff\xff", 32, ""),
    };

    return REFUSE(b, forms, err);
}

/* READ with its one member, which the head does not count. */
static int count_less(struct bench *b, struct error *err)
{
    struct buf payload;

    buf_init(&payload, 16);
    buf_put(&payload, "\xa0\x01\x00", 3);
    return bench_refused(b, IMPRINT_MSG_READ, &payload, STATUS(FORMAT), err);
}

/* As deep as a frame allows. */
static int nested(struct bench *b, struct error *err)
{
    static const uint8_t heads[][2] = {{0x81, 0x81}, {0xa1, 0x01}};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof heads / sizeof *heads; i++) {
        struct buf payload;

        buf_init(&payload, IMPRINT_FRAME_MIN);
        buf_put(&payload, "\xa1\x01", 2);
        for (size_t n = 0; n < (IMPRINT_FRAME_MIN - 16) / sizeof heads[i]; n++)
            buf_put(&payload, heads[i], sizeof heads[i]);
        rc = bench_refused(b, IMPRINT_MSG_HELLO, &payload, STATUS(FORMAT), err);
    }
    return rc;
}

static int empty_payload_of(struct bench *b, uint8_t message, struct error *err)
{
    struct buf payload;
    int rc;

    buf_init(&payload, 16);
    buf_put_u8(&payload, 0xa0);
    rc = bench_refused(b, message, &payload, STATUS(MESSAGE), err);
    if (rc)
        (void)error_prefix(err, "message 0x%02x", message);
    return rc;
}

static int unknown_message(struct bench *b, struct error *err)
{
    static const uint8_t messages[] = {0x00, 0x0c, 0x20, 0x40, 0x7f};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof messages; i++)
        rc = empty_payload_of(b, messages[i], err);
    return rc;
}

static int reserved_message(struct bench *b, struct error *err)
{
    return empty_payload_of(b, IMPRINT_MSG_FDO_HMAC, err);
}

static int keygen_absent(struct bench *b, struct error *err)
{
    return empty_payload_of(b, IMPRINT_MSG_KEYGEN, err);
}

const struct conform_case cases_cbor[] = {
    {"cbor-unknown-member", "2", 0,
     "A member that a message does not have is answered with FORMAT.", unknown_member},
    {"cbor-missing-member", "2", 0, "A missing member is answered with FORMAT.", missing_member},
    {"cbor-trailing", "2", 0, "Bytes after the map are answered with FORMAT.", trailing},
    {"cbor-not-shortest", "2", 0,
     "A number or length that is not in its shortest form is answered with FORMAT.", not_shortest},
    {"cbor-indefinite", "2", 0, "An indefinite length is answered with FORMAT.", indefinite},
    {"cbor-repeated", "2", 0, "A repeated key is answered with FORMAT.", repeated},
    {"cbor-type", "2", 0, "A member of another type, a tag or a float is answered with FORMAT.",
     wrong_type},
    {"cbor-size", "3", 0, "A member of another size than the CDDL has is answered with FORMAT.",
     wrong_size},
    {"cbor-cut", "2", 0, "A payload that ends too early, at any place, is answered with FORMAT.",
     cut},
    {"cbor-count", "2", 0, "A map that counts fewer members than it has is answered with FORMAT.",
     count_less},
    {"cbor-nested", "2", 0, "Arrays and maps however deep are answered with FORMAT.", nested},
    {"message-unknown", "4", 0, "An unknown message is answered with MESSAGE.", unknown_message},
    {"message-reserved", "3", 0, "FDO_HMAC is reserved and is answered with MESSAGE.",
     reserved_message},
    {"keygen-absent", "5", NEED_NO_DEVICE,
     "A device whose modes are without 2 answers KEYGEN with MESSAGE.", keygen_absent},
    {NULL, NULL, 0, NULL, NULL}};
