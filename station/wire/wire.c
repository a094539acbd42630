#include "station/wire/wire.h"

#include "base/error.h"
#include "base/text.h"

#include <string.h>

static void put_text(struct buf *m, const char *text)
{
    buf_put_lp(m, text, strlen(text));
}

/* Texts go to logs and screens: only printable ASCII passes. */
static int get_text(struct reader *r, char *out, size_t size)
{
    char text[WIRE_TEXT_MAX + 1];

    if (size > sizeof text || reader_lp_str(r, text, size))
        return ERR_FORMAT;
    for (const char *p = text; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            return ERR_FORMAT;
    strcpy(out, text);
    return 0;
}

/* What a person reads may be in a language that needs more than ASCII. */
static int get_words(struct reader *r, char *out, size_t size)
{
    char text[WIRE_TEXT_MAX + 1];

    if (size > sizeof text || reader_lp_str(r, text, size))
        return ERR_FORMAT;
    return strcmp(text_readable(text, out, size), text) ? ERR_FORMAT : 0;
}

static int get_flag(struct reader *r, uint8_t *flag)
{
    return reader_u8(r, flag) || *flag > 1 ? ERR_FORMAT : 0;
}

void wire_put_open(struct buf *m, const struct wire_open *v)
{
    buf_put_u8(m, WIRE_OPEN);
    put_text(m, v->slot);
}

int wire_get_open(struct reader *r, struct wire_open *v)
{
    struct wire_open got;

    if (get_text(r, got.slot, sizeof got.slot) || reader_end(r))
        return ERR_FORMAT;
    *v = got;
    return 0;
}

void wire_put_hello(struct buf *m, const struct wire_hello *v)
{
    buf_put_u8(m, WIRE_HELLO);
    buf_put(m, v->handle, sizeof v->handle);
    buf_put_u8(m, v->suite_count);
    for (size_t i = 0; i < IMPRINT_SUITES_MAX; i++)
        buf_put_u16(m, i < v->suite_count ? v->suites[i] : 0);
    buf_put_u16(m, v->modes);
    buf_put_u8(m, v->chip_len);
    buf_put(m, v->chip, sizeof v->chip);
    put_text(m, v->firmware);
    buf_put_u8(m, v->has_image_hash);
    buf_put(m, v->image_hash, sizeof v->image_hash);
    buf_put_u8(m, v->debug);
    buf_put_u8(m, v->lifecycle);
    buf_put_u8(m, v->pinned);
    buf_put_u32(m, v->max_frame);
    buf_put_u8(m, v->has_dev_pub);
    buf_put(m, v->dev_pub, sizeof v->dev_pub);
    buf_put_u8(m, v->tx_state);
    buf_put(m, v->tx, sizeof v->tx);
    put_text(m, v->serial);
    buf_put_u8(m, v->has_attestation);
    buf_put(m, v->attest_key, sizeof v->attest_key);
    buf_put(m, v->attest_sig, sizeof v->attest_sig);
}

/* What is not counted is zero, so that a message has one form. */
static int get_suites(struct reader *r, struct wire_hello *v)
{
    if (reader_u8(r, &v->suite_count) || v->suite_count > IMPRINT_SUITES_MAX)
        return ERR_FORMAT;
    for (size_t i = 0; i < IMPRINT_SUITES_MAX; i++)
        if (reader_u16(r, &v->suites[i]) || (i >= v->suite_count && v->suites[i] != 0))
            return ERR_FORMAT;
    return 0;
}

int wire_get_hello(struct reader *r, struct wire_hello *v)
{
    struct wire_hello got;

    memset(&got, 0, sizeof got);
    if (reader_bytes(r, got.handle, sizeof got.handle) || get_suites(r, &got) ||
        reader_u16(r, &got.modes) || reader_u8(r, &got.chip_len) || got.chip_len == 0 ||
        got.chip_len > sizeof got.chip || reader_bytes(r, got.chip, sizeof got.chip) ||
        get_text(r, got.firmware, sizeof got.firmware) || get_flag(r, &got.has_image_hash) ||
        reader_bytes(r, got.image_hash, sizeof got.image_hash) || get_flag(r, &got.debug) ||
        reader_u8(r, &got.lifecycle) || get_flag(r, &got.pinned) || reader_u32(r, &got.max_frame) ||
        get_flag(r, &got.has_dev_pub) || reader_bytes(r, got.dev_pub, sizeof got.dev_pub) ||
        reader_u8(r, &got.tx_state) || got.tx_state > IMPRINT_TX_COMMITTED ||
        reader_bytes(r, got.tx, sizeof got.tx) || get_text(r, got.serial, sizeof got.serial) ||
        get_flag(r, &got.has_attestation) ||
        reader_bytes(r, got.attest_key, sizeof got.attest_key) ||
        reader_bytes(r, got.attest_sig, sizeof got.attest_sig) || reader_end(r))
        return ERR_FORMAT;
    *v = got;
    return 0;
}

void wire_put_chain(struct buf *m, const uint8_t handle[WIRE_HANDLE_SIZE], const void *chain,
                    size_t len)
{
    buf_put_u8(m, WIRE_CHAIN);
    buf_put(m, handle, WIRE_HANDLE_SIZE);
    buf_put_lp(m, chain, len);
}

int wire_get_chain(struct reader *r, uint8_t handle[WIRE_HANDLE_SIZE], const uint8_t **chain,
                   size_t *len)
{
    uint8_t got[WIRE_HANDLE_SIZE];
    const uint8_t *view;
    size_t view_len;

    if (reader_bytes(r, got, sizeof got) || reader_lp(r, &view, &view_len, WIRE_CHAIN_MAX) ||
        view_len == 0 || reader_end(r))
        return ERR_FORMAT;
    memcpy(handle, got, sizeof got);
    *chain = view;
    *len = view_len;
    return 0;
}

void wire_put_csr(struct buf *m, const struct wire_csr *v)
{
    buf_put_u8(m, WIRE_CSR);
    buf_put(m, v->handle, sizeof v->handle);
    buf_put_u8(m, v->has_attestation);
    buf_put(m, v->attest_sig, sizeof v->attest_sig);
    buf_put_lp(m, v->csr, v->csr_len);
}

int wire_get_csr(struct reader *r, struct wire_csr *v)
{
    struct wire_csr got;
    const uint8_t *csr;
    size_t len;

    memset(&got, 0, sizeof got);
    if (reader_bytes(r, got.handle, sizeof got.handle) || get_flag(r, &got.has_attestation) ||
        reader_bytes(r, got.attest_sig, sizeof got.attest_sig) ||
        reader_lp(r, &csr, &len, sizeof got.csr) || len == 0 || reader_end(r))
        return ERR_FORMAT;
    memcpy(got.csr, csr, len);
    got.csr_len = (uint16_t)len;
    *v = got;
    return 0;
}

void wire_put_object(struct buf *m, const uint8_t handle[WIRE_HANDLE_SIZE], uint8_t index)
{
    buf_put_u8(m, WIRE_OBJECT);
    buf_put(m, handle, WIRE_HANDLE_SIZE);
    buf_put_u8(m, index);
}

int wire_get_object(struct reader *r, uint8_t handle[WIRE_HANDLE_SIZE], uint8_t *index)
{
    uint8_t got[WIRE_HANDLE_SIZE], got_index;

    if (reader_bytes(r, got, sizeof got) || reader_u8(r, &got_index) || reader_end(r))
        return ERR_FORMAT;
    memcpy(handle, got, sizeof got);
    *index = got_index;
    return 0;
}

void wire_put_nonce(struct buf *m, const uint8_t handle[WIRE_HANDLE_SIZE])
{
    buf_put_u8(m, WIRE_NONCE);
    buf_put(m, handle, WIRE_HANDLE_SIZE);
}

int wire_get_nonce(struct reader *r, uint8_t handle[WIRE_HANDLE_SIZE])
{
    uint8_t got[WIRE_HANDLE_SIZE];

    if (reader_bytes(r, got, sizeof got) || reader_end(r))
        return ERR_FORMAT;
    memcpy(handle, got, sizeof got);
    return 0;
}

void wire_put_proof(struct buf *m, const struct wire_proof *v)
{
    buf_put_u8(m, WIRE_PROOF);
    buf_put(m, v->handle, sizeof v->handle);
    buf_put_lp(m, v->sig, v->sig_len);
    buf_put_u8(m, v->lifecycle);
    buf_put_u32(m, v->commit_count);
    buf_put(m, v->read_back, sizeof v->read_back);
}

int wire_get_proof(struct reader *r, struct wire_proof *v)
{
    struct wire_proof got;
    const uint8_t *sig;
    size_t len;

    memset(&got, 0, sizeof got);
    if (reader_bytes(r, got.handle, sizeof got.handle) ||
        reader_lp(r, &sig, &len, sizeof got.sig) || len == 0 || reader_u8(r, &got.lifecycle) ||
        reader_u32(r, &got.commit_count) || reader_bytes(r, got.read_back, sizeof got.read_back) ||
        reader_end(r))
        return ERR_FORMAT;
    memcpy(got.sig, sig, len);
    got.sig_len = (uint16_t)len;
    *v = got;
    return 0;
}

void wire_put_result(struct buf *m, const struct wire_result *v)
{
    buf_put_u8(m, WIRE_RESULT);
    buf_put(m, v->handle, sizeof v->handle);
    buf_put_u8(m, v->status);
    buf_put_u8(m, v->next);
    buf_put_u8(m, v->goes_on);
    put_text(m, v->text);
}

int wire_get_result(struct reader *r, struct wire_result *v)
{
    struct wire_result got;

    if (reader_bytes(r, got.handle, sizeof got.handle) || reader_u8(r, &got.status) ||
        reader_u8(r, &got.next) || got.next >= NEXT_COUNT || get_flag(r, &got.goes_on) ||
        get_text(r, got.text, sizeof got.text) || reader_end(r))
        return ERR_FORMAT;
    *v = got;
    return 0;
}

void wire_put_ack(struct buf *m, const char *slot)
{
    buf_put_u8(m, WIRE_ACK);
    put_text(m, slot);
}

int wire_get_ack(struct reader *r, char slot[WIRE_SLOT_MAX + 1])
{
    char got[WIRE_SLOT_MAX + 1];

    if (get_text(r, got, sizeof got) || reader_end(r))
        return ERR_FORMAT;
    strcpy(slot, got);
    return 0;
}

static void put_cut(struct buf *m, const char *text)
{
    buf_put_lp(m, text, strnlen(text, WIRE_TEXT_MAX));
}

void wire_put_error(struct buf *m, int code, const struct error *err)
{
    buf_reset(m);
    buf_put_u8(m, (uint8_t)error_exit_status(code));
    buf_put_u8(m, (uint8_t)err->next);
    put_text(m, err->message);
    put_cut(m, err->text);
    put_cut(m, err->local);
}

void wire_put_ok(struct buf *m)
{
    buf_put_u8(m, 0);
}

int wire_get_status(struct reader *r, struct error *err)
{
    char message[MESSAGE_CODE_SIZE], text[WIRE_TEXT_MAX + 1], local[WIRE_TEXT_MAX + 1];
    uint8_t status, next;

    if (reader_u8(r, &status))
        return error_set(err, ERR_INTERNAL, "the vault sent an empty answer");
    if (status == 0)
        return 0;
    if (reader_u8(r, &next) || next >= NEXT_COUNT || reader_lp_str(r, message, sizeof message) ||
        reader_lp_str(r, text, sizeof text) || reader_lp_str(r, local, sizeof local) ||
        reader_end(r))
        return error_set(err, ERR_INTERNAL, "the vault sent a malformed answer");
    return error_next(err, (enum error_next)next,
                      error_received(err, -(int)status, message, text, local));
}

static void put_condition(struct buf *m, const struct wire_condition *v)
{
    buf_put_u8(m, v->state);
    put_text(m, v->text);
}

static int get_condition(struct reader *r, struct wire_condition *v)
{
    return reader_u8(r, &v->state) || v->state >= WIRE_SLOT_STATES ||
                   get_text(r, v->text, sizeof v->text)
               ? ERR_FORMAT
               : 0;
}

void wire_put_noted(struct buf *m, const struct wire_noted *v)
{
    wire_put_ok(m);
    put_text(m, v->plant);
    put_condition(m, &v->condition);
}

int wire_get_noted(struct reader *r, struct wire_noted *v)
{
    struct wire_noted got;

    if (get_text(r, got.plant, sizeof got.plant) || get_condition(r, &got.condition) ||
        reader_end(r))
        return ERR_FORMAT;
    *v = got;
    return 0;
}

void wire_put_opened(struct buf *m, const struct wire_opened *v)
{
    wire_put_ok(m);
    buf_put(m, v->handle, sizeof v->handle);
    buf_put(m, v->nonce, sizeof v->nonce);
    buf_put_u8(m, v->wants_chain);
    put_condition(m, &v->condition);
}

int wire_get_opened(struct reader *r, struct wire_opened *v)
{
    struct wire_opened got;

    if (reader_bytes(r, got.handle, sizeof got.handle) ||
        reader_bytes(r, got.nonce, sizeof got.nonce) || get_flag(r, &got.wants_chain) ||
        get_condition(r, &got.condition) || reader_end(r))
        return ERR_FORMAT;
    *v = got;
    return 0;
}

void wire_put_plan(struct buf *m, const struct wire_plan *v)
{
    wire_put_ok(m);
    buf_put_u8(m, v->action);
    buf_put_u8(m, v->again);
    put_text(m, v->serial);
    buf_put(m, v->tx, sizeof v->tx);
    buf_put_u16(m, v->suite);
    put_text(m, v->environment);
    buf_put(m, v->order_hash, sizeof v->order_hash);
    buf_put(m, v->station_nonce, sizeof v->station_nonce);
    buf_put(m, v->station_pub, sizeof v->station_pub);
    buf_put(m, v->station_sig, sizeof v->station_sig);
    buf_put_lp(m, v->station_cert, v->station_cert_len);
    buf_put_u8(m, v->object_count);
    for (size_t i = 0; i < v->object_count; i++) {
        buf_put_u16(m, v->objects[i].type);
        buf_put_u16(m, v->objects[i].format);
        buf_put_u32(m, v->objects[i].length);
        buf_put(m, v->objects[i].hash, sizeof v->objects[i].hash);
    }
    buf_put_u16(m, v->key_alg);
    buf_put_lp(m, v->subject, v->subject_len);
}

static int get_objects(struct reader *r, struct wire_plan *v)
{
    if (reader_u8(r, &v->object_count) || v->object_count > IMPRINT_OBJECTS_MAX)
        return ERR_FORMAT;
    for (size_t i = 0; i < v->object_count; i++) {
        struct wire_object_info *o = &v->objects[i];

        if (reader_u16(r, &o->type) || reader_u16(r, &o->format) || reader_u32(r, &o->length) ||
            reader_bytes(r, o->hash, sizeof o->hash))
            return ERR_FORMAT;
    }
    return 0;
}

int wire_get_plan(struct reader *r, struct wire_plan *v)
{
    struct wire_plan got;
    const uint8_t *cert, *subject;
    size_t cert_len, subject_len;

    memset(&got, 0, sizeof got);
    if (reader_u8(r, &got.action) || got.action < WIRE_DELIVER || got.action > WIRE_SCAN ||
        get_flag(r, &got.again) || get_text(r, got.serial, sizeof got.serial) ||
        reader_bytes(r, got.tx, sizeof got.tx) || reader_u16(r, &got.suite) ||
        get_text(r, got.environment, sizeof got.environment) ||
        reader_bytes(r, got.order_hash, sizeof got.order_hash) ||
        reader_bytes(r, got.station_nonce, sizeof got.station_nonce) ||
        reader_bytes(r, got.station_pub, sizeof got.station_pub) ||
        reader_bytes(r, got.station_sig, sizeof got.station_sig) ||
        reader_lp(r, &cert, &cert_len, sizeof got.station_cert) || get_objects(r, &got) ||
        reader_u16(r, &got.key_alg) || reader_lp(r, &subject, &subject_len, sizeof got.subject) ||
        reader_end(r))
        return ERR_FORMAT;
    memcpy(got.station_cert, cert, cert_len);
    memcpy(got.subject, subject, subject_len);
    got.subject_len = (uint16_t)subject_len;
    got.station_cert_len = (uint16_t)cert_len;
    *v = got;
    return 0;
}

void wire_put_ask_counts(struct buf *m)
{
    buf_put_u8(m, WIRE_COUNTS);
}

void wire_put_counts(struct buf *m, const struct wire_counts *v)
{
    wire_put_ok(m);
    put_text(m, v->order);
    put_text(m, v->product);
    buf_put_u32(m, v->good);
    buf_put_u32(m, v->proven);
    buf_put_u32(m, v->available);
    buf_put_u32(m, v->remaining);
}

int wire_get_counts(struct reader *r, struct wire_counts *v)
{
    struct wire_counts got;

    if (get_text(r, got.order, sizeof got.order) || get_text(r, got.product, sizeof got.product) ||
        reader_u32(r, &got.good) || reader_u32(r, &got.proven) || reader_u32(r, &got.available) ||
        reader_u32(r, &got.remaining) || reader_end(r))
        return ERR_FORMAT;
    *v = got;
    return 0;
}

void wire_put_ask_scans(struct buf *m)
{
    buf_put_u8(m, WIRE_SCANS);
}

void wire_put_scan(struct buf *m, const struct wire_scan *v)
{
    wire_put_ok(m);
    buf_put_u8(m, v->live);
    buf_put_u8(m, v->kind);
    put_text(m, v->slot);
    put_text(m, v->serial);
    put_text(m, v->text);
}

int wire_get_scan(struct reader *r, struct wire_scan *v)
{
    struct wire_scan got;

    memset(&got, 0, sizeof got);
    if (get_flag(r, &got.live) || reader_u8(r, &got.kind) || got.kind >= WIRE_SCAN_KINDS ||
        get_text(r, got.slot, sizeof got.slot) || get_text(r, got.serial, sizeof got.serial) ||
        get_words(r, got.text, sizeof got.text) || reader_end(r))
        return ERR_FORMAT;
    *v = got;
    return 0;
}
