/*
 * job_objects: the objects of a bundle that are the same for every device of an order: keys that the
 * device verifies things with, and its signed configuration.
 *
 * The order names each by SHA-256: of a key its SubjectPublicKeyInfo (DER), of a configuration the
 * file. The job names the files. A device gets what both name, and nothing else.
 */
#ifndef STATION_JOB_OBJECTS_H
#define STATION_JOB_OBJECTS_H

#include "agent/ids.h"
#include "base/buf.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define JOB_CONFIGURATION_MAX 4096 /* bytes of its contents */

/* Files of a job; empty: none. */
struct job_objects {
    char firmware_key[PATH_MAX];            /* PEM public key */
    char configuration[PATH_MAX];           /* the contents */
    char configuration_signature[PATH_MAX]; /* ECDSA with SHA-256, DER, as openssl writes it */
    char configuration_key[PATH_MAX];       /* PEM public key, P-256 */
    char decommission_key[PATH_MAX];        /* PEM public key, P-256 */
};

/* What an order says of one type of object. */
struct order_object {
    bool named;
    uint8_t hash[32];
};

/* An object as devices get it. */
struct job_object {
    struct buf bytes; /* empty: none */
    uint16_t format;  /* enum imprint_format */
    uint8_t hash[32]; /* what the order must say */
};

struct job;
struct order;

/* The name that an order and a job give a type of object, such as "firmware_key"; NULL for a type
 * that is not here. */
const char *job_object_name(unsigned type);

/* The path of a type of object in o; NULL likewise. */
char *job_object_path(struct job_objects *o, unsigned type);

/*
 * Reads the files of job->object_files into job->objects. Errors: ERR_MISSING, ERR_IO; ERR_INPUT when
 * a file is not a public key, is too large, or a configuration lacks its signature or key;
 * ERR_SIGNATURE when the configuration's signature does not verify with its key.
 */
MUST_USE int job_objects_read(struct job *job, struct error *err);

/* Frees job->objects. */
void job_objects_done(struct job *job);

/* Compares them with the order's hashes. Errors: ERR_INPUT when the job lacks one that the order
 * names, ERR_REFUSED for one that the order does not name so. */
MUST_USE int job_objects_bind(const struct job *job, const struct order *order, struct error *err);

#endif
