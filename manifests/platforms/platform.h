/*
 * platform: what an onboarding platform imports, one row of a table for each.
 *
 * docs/exports.md names the document that each format follows. A format is a few functions that
 * append text for one device after the other; export.h splits files, refuses what the platform
 * would refuse, and makes the folder appear whole.
 *
 * Invariants
 *  1. A format writes nothing that is secret, certificates and public keys only, but those that are
 *     marked so: their files are envelopes (pki/envelope.h) for recipients whom an order names, and no
 *     text of theirs is in a file before it is encrypted.
 *  2. Whatever creates is told to create: no format overwrites what a platform has already.
 */
#ifndef MANIFESTS_PLATFORM_H
#define MANIFESTS_PLATFORM_H

#include "manifests/record.h"
#include "pki/signer.h"

#define PLATFORM_SETTINGS_MAX 6
#define PLATFORM_KEY_SIZE     32 /* bytes of a symmetric key */

/* Key types that a platform takes, as bits. */
enum platform_key { PLATFORM_P256 = 1, PLATFORM_P384 = 2, PLATFORM_P521 = 4, PLATFORM_RSA = 8 };

/* What the owner has to say about all devices together. */
struct platform_setting {
    const char *name;     /* NULL ends a list */
    const char *standard; /* its value when it is not given; NULL: it must be given */
    const char *help;
};

/* One device of an export; everything is valid during the call. */
struct platform_device {
    const struct record *record; /* add or replace */
    X509 *cert, *issuer;         /* NULL in a secret format */
    char cn[129];                /* the one common name of cert, or empty */
    const uint8_t *key;          /* PLATFORM_KEY_SIZE bytes, in a secret format; else NULL */
};

/* What is the same for all devices. */
struct platform_run {
    const struct export_format *platform;
    const char *values[PLATFORM_SETTINGS_MAX]; /* in the order of its settings */
    const struct signer *signer;               /* for formats that sign; or NULL */
    const STACK_OF(X509) * recipients;         /* of secret formats; or NULL */
};

struct export_format {
    const char *name;
    const char *help;
    const char *file;      /* the one file, or NULL: <name>-00000.<extension> and so on */
    const char *extension; /* of the files */
    const char *extra;     /* one more file, which the format's extra() writes; or NULL */
    uint64_t per_file;     /* devices of one file; 0: no limit */
    unsigned keys;         /* enum platform_key */
    bool folds_case;       /* ids that differ in case alone are one to it */
    bool names_by_cn;      /* it knows a device by the certificate's common name */
    bool by_issuer;        /* one entry for each issuing CA, not for each device */
    bool signs;
    bool secret; /* of symmetric keys: each file is an envelope */
    const struct platform_setting *settings;

    /* The rule that a serial breaks, as a sentence, or NULL. */
    const char *(*refuses)(const char *serial);
    /* The same for settings, and for the rest of a device; NULL where there is nothing to check. */
    const char *(*refuses_settings)(const struct platform_run *run);
    const char *(*refuses_device)(const struct platform_run *run, const struct platform_device *d);

    /* Append to out; n counts the devices of the file from 0. Those but device may be NULL; tail gets
     * how many there were. */
    void (*head)(struct buf *out);
    int (*device)(const struct platform_run *run, const struct platform_device *d, uint64_t n,
                  struct buf *out, struct error *err);
    void (*tail)(uint64_t count, struct buf *out);
    void (*make_extra)(const struct platform_run *run, struct buf *out);
};

extern const struct export_format *const export_formats[]; /* ends with NULL */

/* The format of a name, or NULL. */
const struct export_format *platform_find(const char *name);

/* The names of all formats with blanks between them, for messages. */
const char *platform_names(void);

/* The one common name of a certificate, or an empty text. */
void platform_read_cn(X509 *cert, char *cn, size_t size);

/* The rule that a certificate breaks, by its key and common name, as a sentence; or NULL. */
const char *platform_refuses_certificate(const struct export_format *p, X509 *cert,
                                         const char *serial);

/* The value of a setting of the run's format. */
const char *platform_value(const struct platform_run *run, const char *name);

#endif
