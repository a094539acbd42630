/*
 * ticket: leave for one act of recovery, which nothing at the station may decide by itself.
 *
 * A ticket is JSON that the owner signed as an order is (pki/signed.h). It names the station, the
 * one thing to be done, and when. Its identity is the SHA-256 of the signed content; by that the
 * token remembers that it was used (hsm/ticket.h). docs/recovery.md describes the members.
 */
#ifndef STATION_VAULT_TICKET_H
#define STATION_VAULT_TICKET_H

#include "manifests/merkle.h"
#include "manifests/note.h"
#include "pki/signed.h"

enum ticket_action {
    TICKET_CLOCK,   /* the station's clock is right again */
    TICKET_RESTORE, /* a backup takes the place of the database */
    TICKET_COUNTER  /* another counter takes the place of the station's */
};

struct ticket {
    uint8_t hash[SHA256_SIZE]; /* of the signed content */
    char id[65];
    char environment[17];
    uint8_t station[SHA256_SIZE]; /* of the SubjectPublicKeyInfo of station-auth */
    enum ticket_action action;
    int64_t from, until; /* seconds since 1970 UTC */
    bool has_after;      /* what the log must hold: the manifest that the owner accepted last */
    char after_origin[NOTE_NAME_MAX + 1];
    uint64_t after_size;
    struct merkle_hash after_root;
};

/* Errors: ERR_INPUT with a text that names source and the member. */
MUST_USE int ticket_parse(const char *source, const void *bytes, size_t len, struct ticket *t,
                          struct error *err);

/*
 * Reads the signed ticket at path and verifies it with the certificates that the station pins.
 * Errors: ERR_SIGNATURE, ERR_INPUT, those of file_read.
 */
MUST_USE int ticket_read(const char *path, STACK_OF(X509) * pins, struct ticket *t,
                         struct error *err);

/*
 * Whether it is for this station and for now. Errors: ERR_REFUSED.
 */
MUST_USE int ticket_check(const struct ticket *t, const char *environment,
                          const uint8_t station[SHA256_SIZE], int64_t now, struct error *err);

#endif
