/*
 * client: one function for each message of the device link, over a transport.
 *
 * A request is sent, and sent again with the same sequence number when no answer came in time:
 * every request is idempotent, so a repeat after a lost answer gives the same one. Replies with
 * another sequence number, another message or a wrong checksum are ignored until the deadline.
 *
 * Errors of every function here, with a text that names the port and the message:
 *   ERR_TIMEOUT   no answer to any of the tries
 *   ERR_GONE      the device was unplugged
 *   ERR_IO        the transport failed
 *   ERR_REFUSED   the device answered with a status other than OK: err->native is the status
 *   ERR_PROTOCOL  the answer is malformed, or bytes came that are no frames at all, or more than
 *                 LINK_CLIENT_NOISE_MAX that are no answer: a device that babbles costs no more
 */
#ifndef LINK_CLIENT_H
#define LINK_CLIENT_H

#include "link/frame.h"
#include "link/message.h"
#include "link/transport.h"

#define LINK_CLIENT_TIMEOUT_MS 3000
#define LINK_CLIENT_TRIES      3
#define LINK_CLIENT_NOISE_MAX  65536 /* bytes between a request and its answer */
#define LINK_CERTIFICATES_MAX  65536 /* bytes that READ may return in all */

/* Plain data: the caller may change timeout_ms, tries and stop between requests. */
struct link_client {
    struct transport *transport; /* not owned */
    int timeout_ms;              /* for the answer to one try */
    int tries;                   /* 1 or more */
    const volatile bool *stop;   /* NULL, or: once it is true, no try after the one at hand */
    void (*progress)(void *context,
                     uint32_t bytes); /* NULL, or: so many more of an object arrived */
    void *progress_context;
    uint32_t frame_max; /* of the device; IMPRINT_FRAME_MIN before its HELLO */
    uint16_t sequence;
    struct link_frame_reader reader;
    size_t noise; /* bytes since the request, while no frame came */
    bool framed;  /* a frame came since the request, of whatever kind */
};

/* Starts with the defaults above. */
void link_client_init(struct link_client *c, struct transport *transport);

/* Also learns the device's frame size. */
MUST_USE int link_client_hello(struct link_client *c, const uint8_t nonce[IMPRINT_NONCE_SIZE],
                               struct link_hello *hello, struct error *err);

/* request->csr lies in c until the next request. */
MUST_USE int link_client_keygen(struct link_client *c, const struct link_keygen *keygen,
                                struct link_request *request, struct error *err);

/* held->count is begin->object_count, and no object is held beyond its length. */
MUST_USE int link_client_begin(struct link_client *c, const struct link_begin *begin,
                               struct link_held *held, struct error *err);

/* One PUT; offset and, but for an object's end, len are multiples of IMPRINT_PUT_ALIGN. */
MUST_USE int link_client_put(struct link_client *c, const uint8_t transaction[IMPRINT_TX_SIZE],
                             uint16_t type, uint32_t offset, const uint8_t *bytes, size_t len,
                             uint32_t *held, struct error *err);

/* An object from byte `from` (what BEGIN said is held) to its end, in frames the device can take.
 */
MUST_USE int link_client_put_object(struct link_client *c,
                                    const uint8_t transaction[IMPRINT_TX_SIZE], uint16_t type,
                                    const uint8_t *bytes, uint32_t len, uint32_t from,
                                    struct error *err);

MUST_USE int link_client_commit(struct link_client *c, const uint8_t transaction[IMPRINT_TX_SIZE],
                                uint32_t *commit_count, struct error *err);

MUST_USE int link_client_prove(struct link_client *c, const uint8_t transaction[IMPRINT_TX_SIZE],
                               const uint8_t nonce[IMPRINT_NONCE_SIZE], struct link_proof *proof,
                               struct error *err);

/* The whole certificate object, appended to out, which also bounds it. */
MUST_USE int link_client_read(struct link_client *c, struct buf *out, struct error *err);

/*
 * The last len bytes of a certificate object of total bytes: cheap, and different for every identity.
 * ERR_REFUSED when the device holds another object or none.
 */
MUST_USE int link_client_read_tail(struct link_client *c, uint32_t total, uint8_t *out, size_t len,
                                   struct error *err);

/* The vendor's chain that attests the device, at most IMPRINT_CHAIN_MAX bytes, likewise. */
MUST_USE int link_client_read_chain(struct link_client *c, struct buf *out, struct error *err);

MUST_USE int link_client_lock(struct link_client *c, const uint8_t transaction[IMPRINT_TX_SIZE],
                              struct error *err);

MUST_USE int link_client_abort(struct link_client *c, struct error *err);

MUST_USE int link_client_decommission(struct link_client *c, const struct link_farewell *farewell,
                                      struct error *err);

/*
 * Any request: sends the payload and waits. *reply is a view of the payload of the answer, valid
 * until the next request. For the functions above, and for tests that send what they would not.
 */
MUST_USE int link_client_request(struct link_client *c, uint8_t message, const struct buf *request,
                                 struct link_frame *reply, struct error *err);

#endif
