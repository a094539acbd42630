/*
 * port: the simulated device's serial port: a pseudo-terminal under a name of its own.
 *
 * Invariants
 *  1. The name is a symbolic link that appears and is replaced in one step. One left behind by a
 *     device that was killed is removed first, for its terminal may be another one's by now.
 *  2. The port stays there while stations come and go; it vanishes only when the device does.
 */
#ifndef DEVICE_PORT_H
#define DEVICE_PORT_H

#include "base/error.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

struct port {
    int master;
    int slave;           /* held open, so that the terminal outlives its users */
    char path[PATH_MAX]; /* the symbolic link */
};

/* Errors: the codes of error_set_errno. Close with port_close. */
MUST_USE int port_open(struct port *port, const char *path, struct error *err);

/* While nobody says anything: takes back the exclusive mode that a killed station left. */
void port_rest(const struct port *port);

/* Hangs up on whoever uses the port, and removes the link. */
void port_close(struct port *port);

/* Sends len bytes; those that nobody takes within a second are lost, as on a cable. */
void port_send(const struct port *port, const uint8_t *bytes, size_t len);

#endif
