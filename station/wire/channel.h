/*
 * channel: how messages pass between the vault and the line.
 *
 * The two are joined by one control socket, made before the line is exec'ed. For each slot the line
 * makes a socket pair and hands one end to the vault over the control socket; on that channel the
 * slot asks and the vault answers, one message each, never the other way round. Sockets are
 * SOCK_SEQPACKET: a message arrives whole or not at all, and one longer than WIRE_MAX is refused.
 *
 * Errors of every function: ERR_GONE when the other process ended, ERR_IO, and what is named.
 */
#ifndef STATION_WIRE_CHANNEL_H
#define STATION_WIRE_CHANNEL_H

#include "base/buf.h"

#define WIRE_MAX             8192
#define CHANNELS_MAX         256
#define CHANNEL_LINE_FD      3 /* the control socket in the line process */
#define CHANNEL_OPENER_FD    4 /* in the line: to the opener */
#define CHANNEL_CONNECTOR_FD 5 /* and, where the job names addresses, to the connector */

/* A control socket: fds[0] for the vault, fds[1] for the line. */
MUST_USE int channel_pair(int fds[2], struct error *err);

/* Line: makes a channel and gives its other end to the vault. *fd is the line's end. */
MUST_USE int channel_open(int control, int *fd, struct error *err);

/*
 * Vault: takes the descriptor that the line sent. ERR_PROTOCOL when it is none, several or not a
 * channel; whatever came is closed then.
 */
MUST_USE int channel_accept(int control, int *fd, struct error *err);

/*
 * A message with a descriptor beside it, or with none (-1), between processes of the station (offer.h).
 * Receiving waits; of several descriptors every one is closed, and *fd is -1.
 */
MUST_USE int channel_send_descriptor(int control, int fd, const void *bytes, size_t len,
                                     struct error *err);
MUST_USE int channel_receive_descriptor(int control, void *bytes, size_t size, size_t *len, int *fd,
                                        struct error *err);

/* One message. send never waits: each side has at most one message under way, so a peer whose
 * buffer is full does not read any more and counts as gone. receive replaces the contents of m,
 * with nothing when it fails. ERR_PROTOCOL when it is too long. */
MUST_USE int channel_send(int fd, const struct buf *m, struct error *err);
MUST_USE int channel_receive(int fd, struct buf *m, struct error *err);

/*
 * As channel_receive, and never waits: ERR_TIMEOUT when there is no message. The line made both ends
 * of a channel and may have kept the vault's as well: what poll announced it can take back.
 */
MUST_USE int channel_receive_now(int fd, struct buf *m, struct error *err);

#endif
