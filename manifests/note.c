#include "manifests/note.h"

#include "base/codec.h"
#include "base/file.h"
#include "pki/ec.h"

#include <inttypes.h>
#include <openssl/x509.h>
#include <string.h>

#define DASH           "\xe2\x80\x94 " /* an em dash and a blank begin a signature line */
#define DASH_LEN       (sizeof DASH - 1)
#define SIGNATURES_MAX 64
#define SIGNATURE_MAX  8192 /* room for post-quantum signatures of witnesses */
#define ED25519_KEY    32
#define KEY_FILE_MAX   4096

bool note_name_valid(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > NOTE_NAME_MAX)
        return false;
    for (; *name; name++)
        if (*name <= 0x20 || *name > 0x7e || *name == '+')
            return false;
    return true;
}

static void ecdsa_key_id(const uint8_t *spki, size_t len, uint8_t id[4])
{
    uint8_t digest[SHA256_SIZE];

    sha256(spki, len, digest);
    memcpy(id, digest, 4);
}

static void ed25519_key_id(const char *name, const uint8_t key[ED25519_KEY], uint8_t id[4])
{
    uint8_t digest[SHA256_SIZE];
    struct sha256 *s = sha256_new();

    sha256_update(s, name, strlen(name));
    sha256_update(s, "\n\x01", 2);
    sha256_update(s, key, ED25519_KEY);
    sha256_final(s, digest);
    memcpy(id, digest, 4);
}

/* Turns the decoded "type ‖ key" of a verifier key into a handle and its key id. */
static int load_key(struct note_key *key, const uint8_t *bytes, size_t len, struct error *err)
{
    const uint8_t *p = bytes + 1;
    uint8_t point[EC_POINT_SIZE];

    if (len == 1 + ED25519_KEY && bytes[0] == NOTE_ED25519) {
        ed25519_key_id(key->name, p, key->id);
        key->key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, p, ED25519_KEY);
    } else if (len == 1 + EC_SPKI_SIZE && bytes[0] == NOTE_ECDSA) {
        ecdsa_key_id(p, EC_SPKI_SIZE, key->id);
        key->key = d2i_PUBKEY(NULL, &p, EC_SPKI_SIZE);
        if (key->key && ec_point(key->key, point, NULL)) {
            EVP_PKEY_free(key->key);
            key->key = NULL;
        }
    }
    if (!key->key)
        return error_set(err, ERR_FORMAT,
                         "the verifier key '%s' is neither ECDSA P-256 (type 2) nor Ed25519 "
                         "(type 1)",
                         key->name);
    key->type = bytes[0];
    return 0;
}

/* Splits "name+id+base64"; the base64 part is what is left after the second plus. */
static int split_key(const char *text, size_t len, struct note_key *key, uint8_t id[4],
                     struct buf *body, struct error *err)
{
    const char *plus = memchr(text, '+', len);
    char hex[9] = "";
    size_t name_len = plus ? (size_t)(plus - text) : 0;

    if (!plus || name_len > NOTE_NAME_MAX || len - name_len < 11 || plus[9] != '+')
        return error_set(err, ERR_FORMAT,
                         "this is not a verifier key: expected 'name+key id+base64'");
    memcpy(key->name, text, name_len);
    key->name[name_len] = 0;
    memcpy(hex, plus + 1, 8);
    if (!note_name_valid(key->name) || hex_decode(hex, id, 4) ||
        base64_decode(plus + 10, len - name_len - 10, body) || body->len == 0)
        return error_set(err, ERR_FORMAT,
                         "the verifier key is damaged: its name, key id or base64 is wrong");
    return 0;
}

int note_key_parse(const char *text, size_t len, struct note_key *key, struct error *err)
{
    struct note_key k = {0};
    uint8_t id[4];
    struct buf body;
    int rc;

    if (len && text[len - 1] == '\n')
        len--;
    buf_init(&body, 1024);
    rc = split_key(text, len, &k, id, &body, err);
    if (rc == 0)
        rc = load_key(&k, body.data, body.len, err);
    if (rc == 0 && memcmp(id, k.id, 4))
        rc = error_set(err, ERR_FORMAT,
                       "the key id of the verifier key '%s' is not the hash of its key", k.name);
    if (rc)
        note_key_done(&k);
    else
        *key = k;
    buf_done(&body);
    return rc;
}

int note_key_from_spki(const char *name, const uint8_t *spki, struct note_key *key,
                       struct error *err)
{
    EVP_PKEY *made = NULL;
    struct buf text;
    int rc = ec_public_key(spki + EC_SPKI_SIZE - EC_POINT_SIZE, &made, err);

    buf_init(&text, 1024);
    if (rc == 0)
        rc = note_key_write(name, made, &text, err);
    if (rc == 0)
        rc = note_key_parse((const char *)text.data, text.len, key, err);
    EVP_PKEY_free(made);
    buf_done(&text);
    return rc;
}

int note_key_read(const char *path, struct note_key *key, struct error *err)
{
    struct buf text;
    int rc;

    buf_init(&text, KEY_FILE_MAX);
    rc = file_read(path, &text, err);
    if (rc == 0 && note_key_parse((const char *)text.data, text.len, key, err)) {
        error_prefix(err, "'%s'", path);
        rc = error_recode(err, ERR_INPUT);
    }
    buf_done(&text);
    return rc;
}

void note_key_done(struct note_key *key)
{
    EVP_PKEY_free(key->key);
    *key = (struct note_key){0};
}

static int key_spki(EVP_PKEY *key, uint8_t spki[EC_SPKI_SIZE], struct error *err)
{
    uint8_t point[EC_POINT_SIZE];
    int rc = ec_point(key, point, err);

    if (rc == 0)
        ec_spki(point, spki);
    return rc;
}

static int check_name(const char *name, struct error *err)
{
    if (!note_name_valid(name))
        return error_set(err, ERR_INPUT,
                         "the log name '%s' is not 1 to 128 printable characters without blank "
                         "and '+'",
                         name);
    return 0;
}

int note_key_write(const char *name, EVP_PKEY *key, struct buf *out, struct error *err)
{
    uint8_t typed[1 + EC_SPKI_SIZE] = {NOTE_ECDSA}, id[4];
    char hex[9];
    int rc = check_name(name, err);

    if (rc == 0)
        rc = key_spki(key, typed + 1, err);
    if (rc)
        return rc;
    ecdsa_key_id(typed + 1, EC_SPKI_SIZE, id);
    hex_encode(id, 4, hex);
    buf_printf(out, "%s+%s+", name, hex);
    base64_put(out, typed, sizeof typed);
    return buf_check(out, "the verifier key", err);
}

/* Finds the last empty line. True, and the length of the text with its line end. */
static bool split_note(const char *bytes, size_t len, size_t *text_len)
{
    for (size_t i = len; i >= 2; i--)
        if (bytes[i - 1] == '\n' && bytes[i - 2] == '\n') {
            *text_len = i - 1;
            return i < len;
        }
    return false;
}

static bool text_valid(const char *text, size_t len)
{
    if (len == 0 || text[len - 1] != '\n')
        return false;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)text[i] < 0x20 && text[i] != '\n')
            return false;
    return true;
}

static int sign_der(EVP_PKEY *key, const void *text, size_t len, uint8_t der[EC_SIG_DER_MAX],
                    size_t *der_len, struct error *err)
{
    uint8_t sig[EC_SIG_SIZE];
    int rc = ec_sign(key, text, len, sig, err);

    if (rc == 0)
        ec_sig_to_der(sig, der, der_len);
    return rc;
}

int note_sign(const void *text, size_t len, const char *name, EVP_PKEY *key, struct buf *note,
              struct error *err)
{
    uint8_t spki[EC_SPKI_SIZE], blob[4 + EC_SIG_DER_MAX];
    size_t der_len = 0;
    int rc = check_name(name, err);

    if (rc == 0 && !text_valid(text, len))
        rc = error_set(err, ERR_INPUT,
                       "the text of a note must end with a line end and hold no control "
                       "characters");
    if (rc == 0)
        rc = key_spki(key, spki, err);
    if (rc == 0)
        rc = sign_der(key, text, len, blob + 4, &der_len, err);
    if (rc)
        return rc;
    ecdsa_key_id(spki, sizeof spki, blob);
    buf_put(note, text, len);
    buf_printf(note, "\n" DASH "%s ", name);
    base64_put(note, blob, 4 + der_len);
    buf_put_u8(note, '\n');
    return buf_check(note, "the note", err);
}

static int check_signature(const struct note_key *key, const void *text, size_t text_len,
                           const uint8_t *sig, size_t sig_len, struct error *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *md = key->type == NOTE_ECDSA ? EVP_sha256() : NULL;
    int rc = 0;

    if (!ctx || !EVP_DigestVerifyInit(ctx, NULL, md, NULL, key->key))
        rc = error_set(err, ERR_CRYPTO, "cannot start verifying a note");
    else if (EVP_DigestVerify(ctx, sig, sig_len, text, text_len) != 1)
        rc = error_set(err, ERR_SIGNATURE, "the signature of '%s' on the note does not verify",
                       key->name);
    EVP_MD_CTX_free(ctx);
    return rc;
}

/* One signature line without its line end. *ours is set when it names the pinned key. */
static int parse_signature(const char *line, size_t len, const struct note_key *key,
                           struct buf *sig, bool *ours)
{
    const char *name = line + DASH_LEN, *blank;
    size_t name_len;

    if (len < DASH_LEN || memcmp(line, DASH, DASH_LEN))
        return ERR_FORMAT;
    blank = memchr(name, ' ', len - DASH_LEN);
    if (!blank || blank == name)
        return ERR_FORMAT;
    name_len = (size_t)(blank - name);
    buf_reset(sig);
    if (base64_decode(blank + 1, len - DASH_LEN - name_len - 1, sig) || sig->len < 5)
        return ERR_FORMAT;
    *ours = name_len == strlen(key->name) && memcmp(name, key->name, name_len) == 0 &&
            memcmp(sig->data, key->id, 4) == 0;
    return 0;
}

/* Walks the signature lines; every one must have the form, those of the key must verify. */
static int check_lines(const char *bytes, size_t len, size_t text_len, const struct note_key *key,
                       struct buf *sig, struct error *err)
{
    size_t at = text_len + 1, lines = 0, good = 0;

    while (at < len) {
        const char *end = memchr(bytes + at, '\n', len - at);
        bool ours = false;
        int rc;

        if (!end || ++lines > SIGNATURES_MAX ||
            parse_signature(bytes + at, (size_t)(end - bytes) - at, key, sig, &ours))
            return error_set(err, ERR_FORMAT, "signature line %zu of the note is malformed", lines);
        rc = ours ? check_signature(key, bytes, text_len, sig->data + 4, sig->len - 4, err) : 0;
        if (rc)
            return rc;
        good += ours;
        at = (size_t)(end - bytes) + 1;
    }
    if (good == 0)
        return error_set(err, ERR_SIGNATURE,
                         "the note is not signed by the pinned key '%s': check that the verifier "
                         "key belongs to this log",
                         key->name);
    return 0;
}

int note_cosign(struct buf *note, const char *name, EVP_PKEY *key, struct error *err)
{
    const uint8_t *end = memmem(note->data, note->len, "\n\n", 2), *line;
    struct buf again;
    int rc;

    if (!end)
        return error_set(err, ERR_INPUT, "what is to be signed once more is not a note");
    buf_init(&again, NOTE_MAX);
    rc = note_sign(note->data, (size_t)(end - note->data) + 1, name, key, &again, err);
    if (rc == 0) {
        line = again.data + (end - note->data) + 2;
        buf_put(note, line, again.len - (size_t)(line - again.data));
        rc = buf_check(note, "the note", err);
    }
    buf_done(&again);
    return rc;
}

int note_verify(const void *bytes, size_t len, const struct note_key *key, size_t *text_len,
                struct error *err)
{
    struct buf sig;
    size_t text;
    int rc;

    if (len > NOTE_MAX || !split_note(bytes, len, &text) || !text_valid(bytes, text))
        return error_set(err, ERR_FORMAT,
                         "this is not a signed note: a text, an empty line, then signatures");
    buf_init(&sig, SIGNATURE_MAX);
    rc = check_lines(bytes, len, text, key, &sig, err);
    buf_done(&sig);
    if (rc == 0)
        *text_len = text;
    return rc;
}

void checkpoint_write(const struct checkpoint *c, struct buf *text)
{
    buf_printf(text, "%s\n%" PRIu64 "\n", c->origin, c->size);
    base64_put(text, c->root.bytes, sizeof c->root.bytes);
    buf_put_u8(text, '\n');
}

bool note_line(const char **at, const char *end, const char **line, size_t *len)
{
    const char *stop = *at < end ? memchr(*at, '\n', (size_t)(end - *at)) : NULL;

    if (!stop)
        return false;
    *line = *at;
    *len = (size_t)(stop - *at);
    *at = stop + 1;
    return true;
}

bool note_number(const char *line, size_t len, uint64_t *number)
{
    uint64_t value = 0;

    if (len == 0 || len > 16 || (line[0] == '0' && len > 1))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (line[i] < '0' || line[i] > '9')
            return false;
        value = 10 * value + (uint64_t)(line[i] - '0');
    }
    *number = value;
    return true;
}

bool note_hash(const char *line, size_t len, struct merkle_hash *hash)
{
    struct buf bytes;
    bool good;

    buf_init(&bytes, sizeof hash->bytes);
    good = base64_decode(line, len, &bytes) == 0 && bytes.len == sizeof hash->bytes;
    if (good)
        memcpy(hash->bytes, bytes.data, sizeof hash->bytes);
    buf_done(&bytes);
    return good;
}

int checkpoint_parse(const void *text, size_t len, struct checkpoint *c, struct error *err)
{
    const char *at = text, *end = at + len, *line;
    struct checkpoint made = {0};
    size_t n;
    bool good;

    good = note_line(&at, end, &line, &n) && n <= NOTE_NAME_MAX;
    if (good)
        memcpy(made.origin, line, n);
    good = good && strlen(made.origin) == n && note_name_valid(made.origin) &&
           note_line(&at, end, &line, &n) && note_number(line, n, &made.size) &&
           note_line(&at, end, &line, &n) && note_hash(line, n, &made.root) && at == end;
    if (!good)
        return error_set(err, ERR_FORMAT,
                         "this is not a checkpoint: expected three lines with origin, size and "
                         "root");
    *c = made;
    return 0;
}
