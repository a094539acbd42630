/*
 * frame: frames of the device link, as the station writes and reads them.
 *
 *   0x00 ‖ COBS( u8 link version ‖ u8 message ‖ u16 sequence ‖ payload ‖ u32 CRC-32 ) ‖ 0x00
 *
 * Invariants
 *  1. Between two delimiters there is a valid frame or noise; noise is dropped, never reported.
 *  2. The reader holds at most one frame and takes any byte at any time.
 *
 * COBS: consistent overhead byte stuffing (Cheshire and Baker, 1999). CRC-32: IEEE 802.3, over all
 * that is before it, big-endian.
 */
#ifndef LINK_FRAME_H
#define LINK_FRAME_H

#include "agent/ids.h"
#include "base/buf.h"

/* Bytes that a frame of this decoded size takes on the wire, at most. */
#define LINK_FRAME_WIRE(size) ((size) + (size) / 254 + 3)

struct link_frame {
    uint8_t message;
    uint16_t sequence;
    const uint8_t *payload; /* within the reader, until its next byte */
    size_t len;
};

struct link_frame_reader {
    uint8_t bytes[IMPRINT_FRAME_MAX];
    size_t len;
    uint8_t left; /* bytes until the next COBS code byte */
    bool zero;    /* a zero follows this COBS block, unless the frame ends */
    bool bad;
};

uint32_t link_crc32(const void *bytes, size_t len);

/* Appends a frame to out. A payload that makes it larger than IMPRINT_FRAME_MAX fails out. */
void link_frame_encode(struct buf *out, uint8_t message, uint16_t sequence, const uint8_t *payload,
                       size_t len);

/* Appends these bytes by COBS between two delimiters, whatever they are: a frame is one that
 * link_frame_encode made. */
void link_frame_stuff(struct buf *out, const uint8_t *bytes, size_t len);

void link_frame_reader_init(struct link_frame_reader *r);

/* Takes one byte. True when it ends a frame whose version and CRC are right; frame is then set. */
bool link_frame_feed(struct link_frame_reader *r, uint8_t byte, struct link_frame *frame);

#endif
