/* Section 2 of docs/device-link.md: frames, fragmentation, noise, versions of the link. */
#include "station/conform/bench.h"

#include <string.h>

#define HEADER 4
#define CRC    4

/* A HELLO as it crosses the link, before COBS, with another version, message or CRC. */
struct shape {
    uint8_t version, message;
    uint16_t sequence;
    uint32_t crc_xor;
};

static void put_raw(struct buf *raw, const struct bench *b, const struct shape *s)
{
    buf_init(raw, IMPRINT_FRAME_MAX);
    buf_put_u8(raw, s->version);
    buf_put_u8(raw, s->message);
    buf_put_u16(raw, s->sequence);
    link_hello_encode(raw, b->nonce);
    if (!buf_failed(raw))
        buf_put_u32(raw, link_crc32(raw->data, raw->len) ^ s->crc_xor);
}

static void put_shape(struct buf *wire, const struct bench *b, const struct shape *s)
{
    struct buf raw;

    put_raw(&raw, b, s);
    buf_init(wire, LINK_FRAME_WIRE(4 * IMPRINT_FRAME_MAX));
    if (!buf_failed(&raw))
        link_frame_stuff(wire, raw.data, raw.len);
    buf_done(&raw);
}

static struct shape hello_shape(struct bench *b)
{
    return (struct shape){IMPRINT_LINK_VERSION, IMPRINT_MSG_HELLO, ++b->client.sequence, 0};
}

/* Sends wire bytes that must not be answered, and frees them. */
static int silent(struct bench *b, struct buf *wire, struct error *err)
{
    int rc = bench_silent(b, wire, err);

    buf_done(wire);
    return rc;
}

/* The next frame must answer this request. */
static int answers(struct bench *b, const struct shape *s, struct link_frame *frame,
                   struct error *err)
{
    int rc = bench_receive(b, frame, err);

    if (rc == 0 && frame->message != (s->message | IMPRINT_MSG_REPLY))
        rc = error_set(err, ERR_PROTOCOL, "message 0x%02x is answered with message 0x%02x",
                       s->message, frame->message);
    if (rc == 0 && frame->sequence != s->sequence)
        rc = error_set(err, ERR_PROTOCOL, "sequence 0x%04x is answered with sequence 0x%04x",
                       s->sequence, frame->sequence);
    return rc;
}

static int answer_header(struct bench *b, struct error *err)
{
    static const uint16_t sequences[] = {0x0000, 0x0001, 0x00ff, 0xff00, 0xffff};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof sequences / sizeof *sequences; i++) {
        struct shape s = hello_shape(b);
        struct link_frame frame;
        struct buf wire;

        s.sequence = sequences[i];
        put_shape(&wire, b, &s);
        rc = bench_send(b, &wire, err);
        buf_done(&wire);
        if (rc == 0)
            rc = answers(b, &s, &frame, err);
    }
    return rc;
}

static int fragments(struct bench *b, struct error *err)
{
    struct shape s = hello_shape(b);
    struct link_frame frame;
    struct buf wire, byte;
    int rc = 0;

    put_shape(&wire, b, &s);
    for (size_t i = 0; rc == 0 && i < wire.len; i++) {
        byte = (struct buf){.data = wire.data + i, .len = 1};
        rc = bench_send(b, &byte, err);
    }
    buf_done(&wire);
    return rc ? rc : answers(b, &s, &frame, err);
}

static int delimiters(struct bench *b, struct error *err)
{
    struct buf wire;

    buf_init(&wire, 64);
    memset(buf_grow(&wire, 64), 0, 64);
    return silent(b, &wire, err);
}

static int noise(struct bench *b, struct error *err)
{
    static const char *const texts[] = {"\r\nlogin: ", "AT+CFUN=4\r\n", "U-Boot 2023.01\r\n=> "};
    struct buf wire;

    buf_init(&wire, 4096);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        buf_put_str(&wire, texts[i]);
        buf_put_u8(&wire, 0);
    }
    for (unsigned i = 0; i < 300; i++) /* as a line at another speed looks */
        buf_put_u8(&wire, i % 2 ? 0x55 : 0xf8);
    return silent(b, &wire, err);
}

static int crc(struct bench *b, struct error *err)
{
    static const uint32_t changes[] = {0x00000001, 0x00000100, 0x00010000, 0x01000000, 0xffffffff};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof changes / sizeof *changes; i++) {
        struct shape s = hello_shape(b);
        struct buf wire;

        s.crc_xor = changes[i];
        put_shape(&wire, b, &s);
        rc = silent(b, &wire, err);
    }
    return rc;
}

/* The CRC covers every byte before it: one is changed after it was computed. */
static int crc_covers_all(struct bench *b, struct error *err)
{
    static const size_t places[] = {1, 2, 3, HEADER, HEADER + 20};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof places / sizeof *places; i++) {
        struct shape s = hello_shape(b);
        struct buf raw, wire;

        put_raw(&raw, b, &s);
        buf_init(&wire, LINK_FRAME_WIRE(IMPRINT_FRAME_MAX));
        if (!buf_failed(&raw)) {
            raw.data[places[i]] ^= 0x10;
            link_frame_stuff(&wire, raw.data, raw.len);
        }
        buf_done(&raw);
        rc = silent(b, &wire, err);
    }
    return rc;
}

/* Every length below that of an empty frame, each with a CRC that is right. */
static int short_frame(struct bench *b, struct error *err)
{
    struct buf raw, wire;

    buf_init(&wire, 256);
    for (size_t len = 0; len < HEADER; len++) {
        buf_init(&raw, 64);
        for (size_t i = 0; i < len; i++)
            buf_put_u8(&raw, 1);
        buf_put_u32(&raw, link_crc32(raw.data, raw.len));
        link_frame_stuff(&wire, raw.data, raw.len);
        buf_done(&raw);
    }
    return silent(b, &wire, err);
}

/* A block that is longer than what comes up to the delimiter. */
static int cobs(struct bench *b, struct error *err)
{
    struct shape s = hello_shape(b);
    struct buf wire;

    put_shape(&wire, b, &s);
    if (buf_failed(&wire))
        return silent(b, &wire, err);
    wire.data[wire.len - 1] = 0x05;
    buf_put(&wire, "\x01\x01\x00", 3);
    return silent(b, &wire, err);
}

static int cut_frame(struct bench *b, struct error *err)
{
    int rc = 0;

    for (size_t part = 1; rc == 0 && part < 4; part++) {
        struct shape s = hello_shape(b);
        struct buf wire;

        put_shape(&wire, b, &s);
        wire.len = wire.len * part / 4;
        rc = silent(b, &wire, err);
    }
    return rc;
}

static int echo(struct bench *b, struct error *err)
{
    struct shape s = hello_shape(b);
    struct buf wire;

    s.message |= IMPRINT_MSG_REPLY;
    put_shape(&wire, b, &s);
    return silent(b, &wire, err);
}

/* A frame of an unknown message that is size bytes long, its payload one byte string. */
static void put_sized(struct buf *raw, uint16_t sequence, size_t size)
{
    const size_t heads = 5; /* map, key, byte string with a u16 length */
    size_t len = size - IMPRINT_FRAME_OVERHEAD - heads;
    uint8_t *room;

    buf_init(raw, 4 * IMPRINT_FRAME_MAX);
    buf_put_u8(raw, IMPRINT_LINK_VERSION);
    buf_put_u8(raw, 0x7f);
    buf_put_u16(raw, sequence);
    buf_put(raw, "\xa1\x01\x59", 3);
    buf_put_u16(raw, (uint16_t)len);
    room = buf_grow(raw, len);
    if (room)
        memset(room, 0x5a, len);
    if (!buf_failed(raw))
        buf_put_u32(raw, link_crc32(raw->data, raw->len));
}

static void put_sized_wire(struct buf *wire, uint16_t sequence, size_t size)
{
    struct buf raw;

    put_sized(&raw, sequence, size);
    buf_init(wire, LINK_FRAME_WIRE(4 * IMPRINT_FRAME_MAX));
    link_frame_stuff(wire, raw.data, raw.len);
    buf_done(&raw);
}

static int too_long(struct bench *b, struct error *err)
{
    size_t most = b->hello.facts.frame_max, sizes[] = {most + 1, most + 16, 3 * most};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof sizes / sizeof *sizes; i++) {
        struct buf wire;

        put_sized_wire(&wire, ++b->client.sequence, sizes[i]);
        rc = silent(b, &wire, err);
    }
    return rc;
}

/* The next frame must answer a request with one of these statuses. */
static int refuses(struct bench *b, const struct shape *s, unsigned statuses, struct error *err)
{
    struct link_frame frame;
    int rc = answers(b, s, &frame, err);

    return rc ? rc : bench_expect(link_empty_decode(frame.payload, frame.len, err), statuses, err);
}

static int largest_frame(struct bench *b, struct error *err)
{
    struct shape s = {IMPRINT_LINK_VERSION, 0x7f, ++b->client.sequence, 0};
    struct buf wire;
    int rc;

    put_sized_wire(&wire, s.sequence, b->hello.facts.frame_max);
    rc = bench_send(b, &wire, err);
    buf_done(&wire);
    return rc ? rc : refuses(b, &s, STATUS(MESSAGE), err);
}

static int link_version(struct bench *b, struct error *err)
{
    static const uint8_t versions[] = {0, 2, 255};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof versions; i++) {
        struct shape s = hello_shape(b);
        struct buf wire;

        s.version = versions[i];
        put_shape(&wire, b, &s);
        rc = bench_send(b, &wire, err);
        buf_done(&wire);
        if (rc == 0)
            rc = refuses(b, &s, STATUS(VERSION), err);
    }
    return rc;
}

const struct conform_case cases_frame[] = {
    {"answer-header", "2", 0,
     "A reply has the sequence of its request, and its message with bit 7 set.", answer_header},
    {"fragments", "2", 0, "A request may come byte by byte.", fragments},
    {"delimiters", "2", 0, "Delimiters without a frame between them are not answered.", delimiters},
    {"noise", "2", 0, "Bytes that are no frame are not answered, and the next request is.", noise},
    {"crc", "2", 0, "A frame whose CRC is wrong is not answered.", crc},
    {"crc-covers-all", "2", 0, "The CRC is over all bytes before it.", crc_covers_all},
    {"short-frame", "2", 0, "A frame that is too short for header and CRC is not answered.",
     short_frame},
    {"cobs", "2", 0, "A frame whose last COBS block is cut short by the delimiter is not answered.",
     cobs},
    {"cut-frame", "2", 0, "A request that breaks off is not answered, and a whole one after it is.",
     cut_frame},
    {"echo", "2", 0, "A frame whose message has bit 7 set is an echo and is not answered.", echo},
    {"too-long", "2", 0,
     "A frame longer than the frame size of HELLO is dropped up to the next delimiter.", too_long},
    {"largest-frame", "2", 0, "A frame of exactly the frame size of HELLO is taken.",
     largest_frame},
    {"link-version", "2", 0, "A whole frame of another link version is answered with VERSION.",
     link_version},
    {NULL, NULL, 0, NULL, NULL}};
