/*
 * address: where a device listens that is no serial port: "tcp:HOST:PORT" or "unix:/PATH".
 */
#ifndef STATION_CONNECTOR_ADDRESS_H
#define STATION_CONNECTOR_ADDRESS_H

#include "base/error.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

#define ADDRESS_TCP  "tcp:"
#define ADDRESS_UNIX "unix:"

/* Rules of ports that are no addresses read so: by ids "1209:0001", by the place "1-2.3". */
#define RULE_USB      "usb:"
#define RULE_USB_PATH "usb_path:"

/* True for a text that begins as one of the two. */
bool address_is(const char *text);

/*
 * Every address that the text means, in the order to be tried; a host name is looked up, [::1]:4001
 * is IPv6. Free with address_free. Errors: ERR_INPUT for a text that is none; ERR_MISSING for a name
 * that cannot be looked up.
 */
MUST_USE int address_find(const char *text, struct addrinfo **list, struct error *err);
void address_free(struct addrinfo *list);

/* As address_find, without looking anything up. */
MUST_USE int address_check(const char *text, struct error *err);

/* The TCP port of an address, 0 for a local one. */
uint16_t address_port(const struct addrinfo *a);

#endif
