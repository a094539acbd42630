/*
 * job: what the manufacturing engineer writes: which order, which serials, which ports.
 *
 * A job chooses within its order and can widen nothing: roots, suites, device authentication and
 * locking come from the order. The order lies in the station and the job names it by its id: a job
 * is read without it, and bound to the version in force before anything is made or delivered.
 * imprint-job(5) describes the file. Paths in a job are relative to the job file's own folder.
 */
#ifndef STATION_JOB_H
#define STATION_JOB_H

#include "agent/ids.h"
#include "base/buf.h"
#include "pki/ca_chain.h"
#include "station/job_label.h"
#include "station/job_objects.h"
#include "station/job_require.h"
#include "station/job_serials.h"
#include "station/order.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define JOB_PORT_RULES_MAX 32
#define JOB_PATTERN_MAX    128
#define JOB_ENROLLED_MAX   1000000
#define JOB_ANCHORS_MAX    8000 /* bytes of the trust anchors: one object of a bundle */
#define JOB_ROOT_MAX       8000 /* bytes of one vendor root */

/* Values of the order's profile (pki/pattern.h); empty: not given. */
struct job_certificate {
    char profile_path[PATH_MAX]; /* of a profile that is not a shipped one */
    char organization[65];
    char hardware_type[129]; /* object identifier, dotted */
    char vendor_id[5], product_id[5];
};

/* One of name, usb, usb_path, tcp and unix_path. */
struct job_port_rule {
    char name[129];      /* pattern of a serial port's name, such as /dev/ttyACM* */
    char usb[10];        /* VID:PID */
    char usb_path[32];   /* pattern of a place, such as 1-2.* */
    char tcp[121];       /* HOST:PORT */
    char unix_path[108]; /* of a stream socket */
    char slot[33]; /* label on the fixture; {n} counts the ports that the rule matches, from 1 */
    int64_t baud;
};

struct job_link {
    int64_t hello_ms;   /* how long a port may stay silent before its slot fails */
    int64_t request_ms; /* how long a device may take for one answer */
    int64_t keygen_ms;  /* and to make its key; 0: long for RSA, else as for every answer */
    int64_t repeats;    /* how often an unanswered request is repeated */
    int64_t retries;    /* how often a device that failed begins again by itself */
    int64_t attempts;   /* that may fail with one credential; 0: no limit */
};

/* How much of the way a run goes, where the order wants locked devices. */
enum job_step {
    JOB_STEP_ALL,     /* everything */
    JOB_STEP_INSTALL, /* up to the first proof: what is locked later is whitelisted later */
    JOB_STEP_LOCK     /* proof, lock, proof of what was installed before */
};

struct job {
    char path[PATH_MAX];
    char name[65];
    char order[65];             /* id of the order */
    char issuer[CA_NAME_SIZE];  /* name of the issuing CA; empty: the newest that the order lists */
    char key_mode[8];           /* "hsm", "device" or "derived"; empty: the order's only one */
    bool symmetric_key;         /* deliver one beside a private key from the HSM */
    char key[KEY_NAME_MAX + 1]; /* type of devices' keys; empty: P-256, or the order's only one */
    char step_name[8];          /* "all", "install" or "lock" */
    enum job_step step;
    char trust_anchors_path[PATH_MAX]; /* empty: none */
    char enrolled_path[PATH_MAX];      /* empty: none */
    char vendor_roots_path[PATH_MAX];  /* empty: none */
    struct job_objects object_files;
    struct job_serials serials;
    struct job_label label;
    struct job_require require; /* of the units */
    struct job_certificate certificate;
    struct job_port_rule ports[JOB_PORT_RULES_MAX];
    size_t port_count;
    struct job_link link;

    /* read from the files that the job names */
    struct buf trust_anchors; /* DER certificates, one after the other; empty: none */
    struct job_object
        objects[IMPRINT_OBJECTS_MAX + 1]; /* by enum imprint_object: those of kinds that
                                                         * job_objects.h has */
    uint8_t enrolled_hash[32];            /* SHA-256 of the list */
    uint8_t (*enrolled)[32];              /* sorted SHA-256 of SubjectPublicKeyInfo */
    size_t enrolled_count;
    struct buf vendor_roots[ORDER_VENDOR_ROOTS_MAX]; /* DER */
    size_t vendor_root_count;
};

/*
 * Reads the job and the files that it names. Free with job_done, also after an error. Errors:
 * ERR_INPUT with file:line:column; ERR_MISSING and ERR_IO for files.
 */
MUST_USE int job_read(const char *path, struct job *job, struct error *err);
void job_done(struct job *job);

/*
 * The rule in one text: a name, or "usb:", "usb_path:", "tcp:" or "unix:" (connector/address.h) and
 * the rest. True for an address, which the connector opens.
 */
bool job_port_pattern(const struct job_port_rule *rule, char out[JOB_PATTERN_MAX + 1]);

/*
 * Checks the job against the version of its order that is in force and this station's share: the
 * serials are within the range, and the files are those that the order names by hash. Errors:
 * ERR_REFUSED with what differs; ERR_INPUT when the job lacks what the order asks for.
 */
MUST_USE int job_bind(const struct job *job, const struct order *order,
                      const struct order_share *share, struct error *err);

/*
 * Finds the profile that the order fixes, the shipped one of its name or the job's own file, and
 * checks that it is this very one and that the job has the values it names, no more and no less.
 * Errors: ERR_REFUSED when it is another profile, one of a CA, or one whose certificates can only be
 * made at the claim; ERR_INPUT with the value; those of profile_find.
 */
MUST_USE int job_profile(const struct job *job, const struct order *order,
                         struct cert_profile *profile, struct error *err);

/*
 * How the job has keys made: what it says, and where it says nothing the one that its order allows, or
 * the first of `hsm`, `device`, `derived` of several. Errors: ERR_INPUT for a word that is none, or a
 * symmetric key beside another than one from the HSM; ERR_REFUSED when the order does not allow it, or
 * devices that make their own keys would take serials from a list.
 */
MUST_USE int job_mode(const struct job *job, const struct order *order, enum imprint_mode *mode,
                      struct error *err);

/*
 * Of which type the devices' keys are: what the job says, and where it says nothing P-256, or the one
 * type that the order allows. Errors: ERR_REFUSED when the order does not allow it.
 */
MUST_USE int job_key(const struct job *job, const struct order *order, enum key_type *type,
                     struct error *err);

/* In key mode `derived` there is no certificate to give values to, and no type of key. Errors:
 * ERR_INPUT. */
MUST_USE int job_no_certificate(const struct job *job, struct error *err);

/* The values of the job and its order, by enum pattern_value; borrowed. */
void job_values(const struct job *job, const struct order *order, const char *values[VALUE_COUNT]);

/* True when the list of enrolled keys holds this hash. */
bool job_is_enrolled(const struct job *job, const uint8_t spki_hash[32]);

#endif
