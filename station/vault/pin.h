/*
 * pin: where the PIN of the token comes from.
 *
 * The first of these that is there:
 *   1. the terminal, with --ask-pin;
 *   2. the service's credential "imprint-pin" (systemd.exec(5), LoadCredential=), in the folder that
 *      CREDENTIALS_DIRECTORY names: the variable is a path, no secret;
 *   3. pin_file of station.yaml;
 *   4. pin-source of the token's URI (RFC 7512 section 2.4);
 *   5. the terminal.
 * Never an argument, a variable, or pin-value of a URI, which is refused.
 */
#ifndef STATION_VAULT_PIN_H
#define STATION_VAULT_PIN_H

#include "base/secret.h"
#include "station/config.h"

#define PIN_CREDENTIAL    "imprint-pin"
#define PIN_CA_CREDENTIAL "imprint-ca-pin" /* of a token of its own for the CA's keys */

/*
 * *typed: a person typed it just now, so that it may be a token's last try. Errors: ERR_PIN that
 * names every way when there is none and nobody to ask, ERR_INPUT for a URI with a PIN in it.
 */
MUST_USE int pin_read(const struct config *config, struct secret **pin, bool *typed,
                      struct error *err);

/* The PIN that a new token is to get: as pin_read, but asked for twice. */
MUST_USE int pin_for_new(const struct config *config, const char *whose, struct secret **pin,
                         struct error *err);

/* Asks twice for a PIN that is to be set. Errors: ERR_PIN when the two differ,
 * ERR_MISSING without a terminal. */
MUST_USE int pin_ask_new(const char *whose, struct secret **pin, struct error *err);

#endif
