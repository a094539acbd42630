/*
 * recorder: a transport that passes bytes on and keeps what crossed it, for the report of a case.
 *
 * An exchange is what was sent, in one or several writes, and what came until something is sent
 * again. Of a case the first RECORDER_EXCHANGES are kept, each way RECORDER_BYTES of one.
 */
#ifndef STATION_CONFORM_RECORDER_H
#define STATION_CONFORM_RECORDER_H

#include "base/buf.h"
#include "link/transport.h"

#define RECORDER_EXCHANGES 256
#define RECORDER_BYTES     16384

struct exchange {
    struct buf sent, came;
};

struct recorder {
    struct transport transport; /* what is used instead of the port */
    struct transport *port;     /* owned; may be exchanged while nothing is under way */
    struct exchange list[RECORDER_EXCHANGES];
    size_t count;
};

/* Takes the port over. */
void recorder_init(struct recorder *r, struct transport *port);
/* Closes the port. */
void recorder_done(struct recorder *r);

/* Another case begins. */
void recorder_reset(struct recorder *r);

#endif
