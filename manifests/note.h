/*
 * note: C2SP signed notes and checkpoints, with which the log key vouches for a size and a root.
 *
 * A note is a text that ends with a line end, an empty line, then signature lines
 * "— <name> base64(key id, 4 bytes ‖ signature)". A checkpoint is a note whose text is
 * "<origin>\n<size>\n<base64 root>\n". (C2SP signed-note and tlog-checkpoint.)
 *
 * Invariants
 *  1. A note counts as verified when the one pinned key signed it; signatures of others are
 *     kept and ignored, so witnesses can be added without a change of format.
 *  2. Key types: 0x02 is ECDSA P-256, a DER signature over SHA-256 of the text, key id
 *     SHA-256(SPKI)[:4]; 0x01 is Ed25519, key id SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key)[:4]. Both are
 *     verified; notes are signed with 0x02, which every HSM can do.
 */
#ifndef MANIFESTS_NOTE_H
#define MANIFESTS_NOTE_H

#include "base/buf.h"
#include "manifests/merkle.h"

#include <openssl/evp.h>

#define NOTE_NAME_MAX 128   /* bytes of a key name or origin */
#define NOTE_MAX      65536 /* bytes of a note */

enum note_type { NOTE_ED25519 = 0x01, NOTE_ECDSA = 0x02 };

/* A verifier key as pinned by whoever verifies. */
struct note_key {
    char name[NOTE_NAME_MAX + 1];
    enum note_type type;
    uint8_t id[4];
    EVP_PKEY *key; /* owned; freed by note_key_done */
};

/* True for a name or origin: 1 to 128 printable ASCII characters without blank and plus. */
bool note_name_valid(const char *name);

/*
 * Reads a verifier key "name+<key id, 8 hex digits>+base64(type ‖ key)"; one line end after it is
 * fine. The key id must be the key's own. Errors: ERR_FORMAT.
 */
MUST_USE int note_key_parse(const char *text, size_t len, struct note_key *key, struct error *err);
void note_key_done(struct note_key *key);

/* The verifier key of a name and a P-256 key, EC_SPKI_SIZE bytes. Errors: ERR_CRYPTO, ERR_INPUT. */
MUST_USE int note_key_from_spki(const char *name, const uint8_t *spki, struct note_key *key,
                                struct error *err);

/* As note_key_parse, out of a file. Errors: ERR_INPUT (not a verifier key), those of file_read. */
MUST_USE int note_key_read(const char *path, struct note_key *key, struct error *err);

/* Appends the verifier key of a P-256 key, without line end. Errors: ERR_CRYPTO, ERR_INPUT (name).
 */
MUST_USE int note_key_write(const char *name, EVP_PKEY *key, struct buf *out, struct error *err);

/*
 * Appends to note the text and one signature of type 0x02 under name. The key may live in an HSM.
 * Errors: ERR_INPUT (the text or name cannot be a note), ERR_CRYPTO.
 */
MUST_USE int note_sign(const void *text, size_t len, const char *name, EVP_PKEY *key,
                       struct buf *note, struct error *err);

/* Appends the signature line of one more key to a note that note_sign made. Errors: as note_sign. */
MUST_USE int note_cosign(struct buf *note, const char *name, EVP_PKEY *key, struct error *err);

/*
 * Verifies a note. On success *text_len is the length of its text, which begins at bytes.
 * Errors: ERR_FORMAT (not a note), ERR_SIGNATURE (not, or wrongly, signed by the key).
 */
MUST_USE int note_verify(const void *bytes, size_t len, const struct note_key *key,
                         size_t *text_len, struct error *err);

struct checkpoint {
    char origin[NOTE_NAME_MAX + 1];
    uint64_t size;
    struct merkle_hash root;
};

/* Appends the text that is to be signed. */
void checkpoint_write(const struct checkpoint *c, struct buf *text);

/* Reads exactly what checkpoint_write writes: no extension lines. Errors: ERR_FORMAT. */
MUST_USE int checkpoint_parse(const void *text, size_t len, struct checkpoint *c,
                              struct error *err);

/* What the lines of notes and proofs are made of: the next line without its line end, as a view; a number
 * of at most 16 digits with no zero before it; a hash in base64. False: it is none. */
bool note_line(const char **at, const char *end, const char **line, size_t *len);
bool note_number(const char *line, size_t len, uint64_t *number);
bool note_hash(const char *line, size_t len, struct merkle_hash *hash);

#endif
