#include "station/line/slot.h"

#include <string.h>

#define LOOK_MS 500 /* for the answer of a device that is only asked whether it is there */

static enum slot_presence look_at_certificate(struct slot *s)
{
    struct error unsaid = ERROR_INIT;
    uint8_t tail[SLOT_TAIL];

    switch (link_client_read_tail(&s->client, s->tail_total, tail, sizeof tail, &unsaid)) {
    case 0:
        return memcmp(tail, s->tail, sizeof tail) ? SLOT_OTHER : SLOT_SAME;
    case ERR_REFUSED:
        return SLOT_OTHER;
    case ERR_TIMEOUT:
        return SLOT_SILENT;
    case ERR_PROTOCOL:
        return SLOT_SAME;
    default:
        return SLOT_GONE;
    }
}

/* The nonce is nobody's: what a device signs over it attests nothing. */
static enum slot_presence look_at_chip(struct slot *s)
{
    static const uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct error unsaid = ERROR_INIT;
    struct link_hello hello;

    switch (link_client_hello(&s->client, nonce, &hello, &unsaid)) {
    case 0:
        return hello.facts.chip_id_len == s->chip_len &&
                       memcmp(hello.facts.chip_id, s->chip, s->chip_len) == 0
                   ? SLOT_SAME
                   : SLOT_OTHER;
    case ERR_REFUSED:
    case ERR_PROTOCOL:
        return SLOT_SAME;
    case ERR_TIMEOUT:
        return SLOT_SILENT;
    default:
        return SLOT_GONE;
    }
}

enum slot_presence slot_look(struct slot *s, bool passed)
{
    s->client.tries = 1;
    s->client.timeout_ms = s->answer_ms > LOOK_MS / 2 ? 2 * s->answer_ms : LOOK_MS;
    return passed && s->tail_total ? look_at_certificate(s) : look_at_chip(s);
}
