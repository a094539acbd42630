/*
 * answers: finds the certificates in whatever a hosted CA sends back.
 *
 * A file is read by what it holds, not by its name:
 *
 *   DER     one certificate or several, one after the other; PKCS#7 (RFC 2315 signedData, as "certs
 *           only" bundles are)
 *   text    PEM blocks (CERTIFICATE, PKCS7, CMS), with whatever stands around them, and base64 on one
 *           line, as tables of portals have it: CSV of any columns and quotes. Requests that come
 *           back beside their certificates are left out
 *   tar     an archive of such files
 *
 * A folder is all files in it, those whose names begin with '.' left out. Nothing is believed of a
 * certificate that was found: it is some octets that begin as one.
 *
 * Invariants
 *  1. Memory does not grow with a file: a certificate has at most ANSWERS_CERT_MAX octets, a PKCS#7
 *     ANSWERS_PKCS7_MAX. What is longer is told, and the rest of the file is read.
 *  2. What cannot be read is told to the sink with its place and goes on with what follows: one bad
 *     piece never keeps the good ones out.
 */
#ifndef STATION_VAULT_HOSTED_ANSWERS_H
#define STATION_VAULT_HOSTED_ANSWERS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ANSWERS_CERT_MAX   8192
#define ANSWERS_PKCS7_MAX  (4 << 20) /* some five thousand certificates */
#define ANSWERS_PLACE_SIZE 512

/* Who is told. place: "certs.tar: PUMP-000001.crt", "batch.csv:17". Something else than 0 ends the
 * reading and is its result. */
struct answers_sink {
    int (*certificate)(void *context, const char *place, const uint8_t *der, size_t len,
                       struct error *err);
    int (*problem)(void *context, const char *place, const char *text, struct error *err);
    void *context;
};

/* Reads a folder or a file. Errors: those of files, and of the sink. */
MUST_USE int answers_read(const char *path, const struct answers_sink *sink, struct error *err);

/* The same of an open stream; name is for places. */
MUST_USE int answers_read_stream(FILE *in, const char *name, const struct answers_sink *sink,
                                 struct error *err);

#endif
