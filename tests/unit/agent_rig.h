/*
 * agent_rig: a device in memory, a software station, and the real client between them.
 *
 * The device is the real agent over NOR flash in memory that can lose power at any write or erase.
 * The station does with OpenSSL what the vault does with an HSM. Everything asserts with Check, but
 * for the steps of a provisioning, which return the client's code.
 */
#ifndef TESTS_AGENT_RIG_H
#define TESTS_AGENT_RIG_H

#include "agent/agent.h"
#include "link/client.h"
#include "pki/key.h"
#include "rig_flash.h"

#include <openssl/evp.h>

/* The nonces of rig_hello and rig_prove: 32 bytes. */
extern const uint8_t rig_hello_nonce[32], rig_prove_nonce[32];

struct rig {
    struct transport transport;
    struct link_client client;
    struct imprint_agent agent;
    struct imprint_agent_platform platform;
    struct rig_flash flash;
    struct buf sent;        /* by the device, not yet read by the station */
    unsigned drop_replies;  /* the next replies that get lost on the cable */
    unsigned corrupt_reply; /* the byte of the next reply that is changed, counted from 1 */
    uint8_t chip_id[8];
    EVP_PKEY *enrolled; /* or NULL */
};

/* What a station keeps for one device. */
struct rig_station {
    EVP_PKEY *authority, *auth, *ca, *device_key;
    uint8_t authority_point[65], device_point[65];
    struct public_key
        other;       /* where rig_station_key says so: the device's key, in place of the point */
    struct buf cert; /* compact station certificate */
    struct buf certificates; /* leaf, issuer */
    struct buf anchors;
    struct buf plain;   /* PKCS#8 as wrapped; a test may change it before rig_prepare */
    struct buf wrapped; /* for the device that rig_prepare was given */
    /* More objects of the bundle; rig_every_object fills them, and a test may change them then. */
    bool derived; /* no private key and no certificate */
    bool has_symmetric;
    uint8_t symmetric[32];
    struct buf wrapped_symmetric;
    EVP_PKEY *configuration_key, *decommission_key;
    struct buf firmware_key, configuration, configuration_spki, decommission_spki;
    struct link_object objects[IMPRINT_OBJECTS_MAX];
    struct link_begin begin;
    struct buf x;
    uint8_t x_hash[32], leaf_hash[32], z[32], kek[32], ephemeral[32];
    char serial[32];
    struct link_keygen keygen; /* the last KEYGEN of rig_keygen */
    struct buf csr;            /* and what it answered */
    struct link_key attest_key_sig;
};

/* The subject of the requests: CN=device. */
extern const uint8_t rig_subject[19];

/* A factory-new device that pins this authority (NULL: none). */
void rig_init(struct rig *rig, const uint8_t *authority);
void rig_done(struct rig *rig);

/* Power off and on: RAM is lost, flash is not. */
void rig_restart(struct rig *rig);

/* Keys, a CA, a credential for this serial. Transaction ids are made from the serial. */
void rig_station_init(struct rig_station *s, const char *serial);
/* As above for the next device of the same station. */
void rig_station_next(struct rig_station *s, const struct rig_station *first, const char *serial);
void rig_station_done(struct rig_station *s);

/* Another key than P-256 for the device, from its HSM; KEYGEN then asks for one of this type. */
void rig_station_key(struct rig_station *s, enum key_type type);
/* SHA-256 of the device key's SubjectPublicKeyInfo. */
void rig_key_hash(const struct rig_station *s, uint8_t hash[32]);

/* A bundle of all eight types; derived: without private key and certificates. */
void rig_every_object(struct rig_station *s, bool derived);
/* The owner's DECOMMISSION of what s provisioned on this chip. */
struct link_farewell rig_farewell(const struct rig *rig, const struct rig_station *s);
/* The bytes of an object of s as they are put. */
const struct buf *rig_object(const struct rig_station *s, uint16_t type);
/* HMAC-SHA256 by OpenSSL. */
void rig_hmac(const uint8_t key[32], const void *bytes, size_t len, uint8_t mac[32]);

/* Replaces s->plain by the form of a key that SoftHSM wraps: 67 bytes of DER and five zeros. */
void rig_plain_softhsm(struct rig_station *s);

/* Bundle, X, wrap and station signature for a device that said hello. */
void rig_prepare(struct rig_station *s, const struct link_hello *hello, uint16_t suite);
/* The first len bytes of s->symmetric for the device that rig_prepare was given. */
void rig_wrap_symmetric(struct rig_station *s, size_t len);
/* Only the hash of B, X and the signature again, after a test changed s->begin or s->objects. */
void rig_sign(struct rig_station *s, const struct link_hello *hello);

/* HELLO with a fixed nonce. */
int rig_hello(struct rig *rig, struct link_hello *hello, struct error *err);
/* BEGIN, then PUT of what is not held, as prepared. */
int rig_begin(struct rig *rig, struct rig_station *s, struct error *err);
int rig_put_all(struct rig *rig, struct rig_station *s, struct error *err);
int rig_commit(struct rig *rig, struct rig_station *s, struct error *err);
/* PROVE and READ, both checked: ERR_PROOF when they do not fit what was prepared. */
int rig_prove(struct rig *rig, struct rig_station *s, struct error *err);
int rig_lock(struct rig *rig, struct rig_station *s, struct error *err);

/* KEYGEN for a device that said hello, with the station's signature. */
void rig_prepare_keygen(struct rig_station *s, const struct link_hello *hello);
/* Sends it: the request is judged by OpenSSL, and s is then a credential for the device's own key. */
int rig_keygen(struct rig *rig, struct rig_station *s, struct error *err);
/* As rig_prepare, for the key that the device made. */
void rig_prepare_made(struct rig_station *s, const struct link_hello *hello);

/* All steps up to the proof. */
int rig_provision(struct rig *rig, struct rig_station *s, uint16_t suite, struct error *err);
/* As above, with a key that the device makes. */
int rig_provision_made(struct rig *rig, struct rig_station *s, struct error *err);

/* True when the device's identity is this station's credential. */
bool rig_holds(struct rig *rig, const struct rig_station *s);

#endif
