/*
 * manifest_kit: a small factory in software for tests: two roots, an issuing CA, a manifest signer,
 * a log key, devices that prove their keys, and the manifests that they end up in.
 *
 * Everything in it is genuine, so whatever a test damages afterwards is the only thing that is
 * wrong. kit_repair() plays the dishonest station: it signs again what was damaged. Failures end
 * the process: a kit that does not work is no test result.
 */
#ifndef TESTS_MANIFEST_KIT_H
#define TESTS_MANIFEST_KIT_H

#include "manifests/evidence.h"
#include "manifests/seal.h"
#include "manifests/verify.h"
#include "pki/signer.h"

#include <limits.h>

#define KIT_STATION     "line1"
#define KIT_ORIGIN      "factory.example/wl/" KIT_STATION
#define KIT_ENVIRONMENT "development"
#define KIT_CRL_URI     "http://example.com/revoked.crl"
#define KIT_PRODUCT     "09506000134352"

struct kit {
    char dir[PATH_MAX / 2]; /* holds the pins, then one folder for each manifest */
    EVP_PKEY *log_key, *ca_key, *root_key, *device_root_key;
    X509 *ca, *root_cert; /* the root is that of manifest signers */
    X509 *device_root_cert;
    X509 *other_ca; /* that chain.pem has as well, another kit's; NULL: none */
    struct signer signer;
    char origin[NOTE_NAME_MAX + 1], station[IMPRINT_STATION_MAX + 1];
    struct manifest_totals totals; /* counts every record that is added */
    struct manifest_totals other;  /* of a second order, if its hash is not zero */
    char root[PATH_MAX], device_root[PATH_MAX], vkey[PATH_MAX];
    unsigned devices; /* made so far */
};

/* A device with its certificate and a proof, ready to be added. */
struct kit_device {
    EVP_PKEY *key;
    uint8_t *cert;
    uint8_t spki[EC_SPKI_SIZE];
    uint8_t x[512];
    struct record record;
    struct evidence evidence;
};

/* A batch while it is put together. */
struct kit_batch {
    struct kit *kit;
    const struct manifest_state *previous;
    char dir[PATH_MAX];
    struct seal *seal;
    bool compress;          /* the files of lines */
    EVP_PKEY *also_log_key; /* signs the checkpoint as well; or NULL */
};

/*
 * dir exists. Writes manifest-root.pem, device-root.pem, log.vkey and log.pub into it, and crl.key
 * and crl.pem, which sign revocation lists for device certificates: these name it as cRLIssuer.
 */
void kit_init(struct kit *k, const char *dir);
/* The same with another station and log name. */
void kit_init_station(struct kit *k, const char *dir, const char *origin, const char *station);
void kit_done(struct kit *k);

/* A device in mode hsm, with auth none, locked; change its record, then call kit_prove. */
void kit_device_init(struct kit *k, struct kit_device *d, const char *serial);
void kit_device_done(struct kit_device *d);
/* Writes <serial>.key and <serial>.pem into the kit's folder, for programs that play the device. */
void kit_device_write(const struct kit *k, const struct kit_device *d);

/* Issues the certificate anew and proves it: fills cert, spki, the transcript and the evidence from
 * what the record says. With an issuer other than the kit's own CA, pass its key and certificate.
 */
void kit_prove(struct kit *k, struct kit_device *d);
/* From here on k also has the issuing CA of another kit, and pins its device root. */
void kit_share_root(struct kit *k, const struct kit *other);
void kit_prove_under(struct kit_device *d, EVP_PKEY *issuer_key, X509 *issuer);

/* kit_prove begins with kit_certify and ends with kit_evidence. */
void kit_certify(struct kit_device *d, const char *serial, EVP_PKEY *issuer_key, X509 *issuer);
void kit_evidence(struct kit_device *d, const char *environment);

/* Begins the manifest in kit->dir/name. */
void kit_begin(struct kit_batch *b, struct kit *k, const char *name,
               const struct manifest_state *previous);
/* Adds a device as it is, and counts it. */
void kit_add(struct kit_batch *b, struct kit_device *d);
/*
 * Adds a rotation from the kit's key to next: of the log key, or of the key of a manifest signer.
 * signer_old and signer_new sign it.
 */
struct kit_rotation {
    enum rotation_key key;
    EVP_PKEY *next, *signer_old, *signer_new;
    uint64_t leaf; /* where it says it stands */
    const char *station;
};
void kit_add_rotation(struct kit_batch *b, const struct kit_rotation *r);
/* Adds a record that has no evidence, and counts it. */
void kit_add_record(struct kit_batch *b, const struct record *r);
/* Seals; state is where the log stands afterwards. */
void kit_end(struct kit_batch *b, struct manifest_state *state);

/* A record of a type without key, about the device of another record, at leaf index ref. */
void kit_change(struct record *r, enum record_type t, const struct record *of, uint64_t ref);

/* How much a dishonest station repairs after a change of files in a manifest's folder. */
enum kit_repair {
    KIT_RAW = 8,       /* signs manifest.json as it is */
    KIT_SIGNATURE = 1, /* signs it made canonical */
    KIT_FILES = 2,     /* and first brings files[] up to date */
    KIT_LOG = 4        /* and before that count, size, root and the checkpoint */
};
void kit_repair(struct kit *k, const char *dir, unsigned what);

/*
 * A signer below the manifest root, or below the issuing CA. from and until: days from now.
 * extensions NULL: those of a manifest signer.
 */
struct kit_signer {
    bool of_device_root;
    long from, until;
    const char *const *extensions;
};
void kit_signer_init(const struct kit *k, const struct kit_signer *what, struct signer *out);
void kit_signer_done(struct signer *signer);

/* Compresses the files of lines of a sealed manifest and signs it again. */
void kit_compress(struct kit *k, const char *dir);

/* Signs a manifest.json as it is with another signer. */
void kit_sign_with(const struct signer *signer, const char *dir);

/* A policy with the kit's pins. */
struct verify_policy kit_policy(const struct kit *k);

/*
 * Makes the sample of three manifests "1", "2" and "3" in the kit's folder: records of every type
 * that a device can have.
 */
void kit_sample(struct kit *k);

/* A P-256 key. */
EVP_PKEY *kit_key(void);
/* A certificate for key. extensions: OpenSSL names and values in turn, NULL at the end. */
X509 *kit_certificate(EVP_PKEY *key, const char *name, EVP_PKEY *issuer_key, X509 *issuer,
                      const char *const *extensions);
/* The kit's issuing CA, certified by this key and certificate: the kit's device root, or one below. */
X509 *kit_issuing_ca(const struct kit *k, EVP_PKEY *issuer_key, X509 *issuer);

#endif
