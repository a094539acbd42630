/*
 * The whole agent against a hostile station and failing power, over real SHA-256 and toy curves and
 * ciphers that a fuzzer can satisfy. The agent is built with keys of every type (meson.build).
 *
 * An input is a sequence of steps: u8 kind, u16 length, bytes. A kind below 0x40 is a message of
 * that number with the bytes as payload, framed here with the right checksum; the others are below.
 */
#include "fuzz.h"

#include "agent/agent.h"
#include "base/buf.h"
#include "link/frame.h"
#include "link/message.h"
#include "pki/digest.h"
#include "tests/unit/rig_flash.h"

#include <openssl/evp.h>
#include <string.h>

#define STEPS_MAX 64

enum {
    STEP_MESSAGES = 0x40,
    STEP_RAW = 0x40,     /* bytes as they are on the cable */
    STEP_RESTART = 0x41, /* power off and on */
    STEP_CUT = 0x42,     /* power fails in the operation of flash that byte 0 counts, torn as byte 1
                          * says, and is back before the next step */
    STEP_WORN = 0x43     /* flash fails until the next restart */
};

static struct {
    struct imprint_agent agent;
    struct imprint_agent_platform platform;
    struct rig_flash flash;
    struct link_frame_reader reader;
    EVP_MD_CTX *digest;
    uint8_t drawn;
    unsigned replies;
    uint8_t reply_message;
    bool identity, locked;
} device;

/* ------ toys ------ */

static bool toy_random(void *context, uint8_t *out, size_t len)
{
    (void)context;
    memset(out, ++device.drawn, len);
    return true;
}

static void hash_init(void *context)
{
    (void)context;
    FUZZ_ASSERT(EVP_DigestInit_ex(device.digest, EVP_sha256(), NULL) == 1);
}

static void hash_update(void *context, const void *bytes, size_t len)
{
    (void)context;
    FUZZ_ASSERT(EVP_DigestUpdate(device.digest, bytes, len) == 1);
}

static bool hash_final(void *context, uint8_t digest[32])
{
    (void)context;
    return EVP_DigestFinal_ex(device.digest, digest, NULL) == 1;
}

/* d·G is d twice. */
static bool toy_public(void *context, const uint8_t scalar[32], uint8_t point[65])
{
    (void)context;
    point[0] = 4;
    memcpy(point + 1, scalar, 32);
    memcpy(point + 33, scalar, 32);
    return true;
}

static bool toy_ecdh(void *context, const uint8_t scalar[32], const uint8_t point[65],
                     uint8_t x[32])
{
    (void)context;
    for (int i = 0; i < 32; i++)
        x[i] = scalar[i] ^ point[1 + i];
    return point[0] == 4;
}

static bool toy_sign(void *context, const uint8_t scalar[32], const uint8_t digest[32],
                     uint8_t sig[64])
{
    (void)context;
    memcpy(sig, scalar, 32);
    memcpy(sig + 32, digest, 32);
    return true;
}

/* Every even signature verifies. */
static bool toy_verify(void *context, const uint8_t point[65], const uint8_t digest[32],
                       const uint8_t sig[64])
{
    (void)context;
    (void)digest;
    return point[0] == 4 && (sig[63] & 1) == 0;
}

/* A cipher that changes nothing. */
static bool toy_block(void *context, const uint8_t key[32], const uint8_t in[16], uint8_t out[16])
{
    (void)context;
    (void)key;
    memmove(out, in, 16);
    return true;
}

/* Another private key is DER too, and its own SubjectPublicKeyInfo: SEQUENCE { u16 algorithm ‖ bytes }, for
 * RSA so long that the steps of unwrapping it need two bytes. */
static size_t toy_length(uint32_t algorithm)
{
    return algorithm >= IMPRINT_ALG_RSA_2048 ? 400 : 120;
}

static bool toy_make(void *context, uint32_t algorithm, uint8_t *key, size_t cap, size_t *len)
{
    const size_t size = toy_length(algorithm);
    const uint8_t longer[] = {0x30, 0x82, (uint8_t)((size - 4) >> 8), (uint8_t)(size - 4)};
    const size_t head = size == 400 ? 4 : 2;

    (void)context;
    FUZZ_ASSERT(size <= cap);
    memset(key, ++device.drawn, size);
    memcpy(key, longer, sizeof longer);
    if (head == 2)
        key[1] = (uint8_t)(size - head);
    key[head] = (uint8_t)(algorithm >> 8);
    key[head + 1] = (uint8_t)algorithm;
    *len = size;
    return true;
}

static bool toy_inspect(void *context, const uint8_t *key, size_t len, uint32_t *algorithm,
                        uint8_t *spki, size_t cap, size_t *spki_len)
{
    const size_t head = len == 400 ? 4 : 2;

    (void)context;
    if (len < 4 || len > cap)
        return false;
    *algorithm = (uint32_t)key[head] << 8 | key[head + 1];
    memcpy(spki, key, len);
    *spki_len = len;
    return toy_length(*algorithm) == len;
}

static bool toy_sign_message(void *context, const uint8_t *key, size_t len, const void *message,
                             size_t n, uint8_t sig[IMPRINT_SIG_MAX], size_t *sig_len)
{
    const uint8_t *bytes = message;

    (void)context;
    *sig_len = len == 400 ? 384 : 96;
    for (size_t i = 0; i < *sig_len; i++)
        sig[i] = (uint8_t)(key[i % len] ^ bytes[i % n]);
    return true;
}

static const struct imprint_agent_keys toy_keys = {
    .modes = IMPRINT_MODE_P384 | IMPRINT_MODE_ED25519 | IMPRINT_MODE_RSA_2048,
    .make = toy_make,
    .inspect = toy_inspect,
    .sign = toy_sign_message,
};

/* ------ the device ------ */

static void device_send(void *context, const uint8_t *bytes, size_t len)
{
    struct link_frame frame;

    (void)context;
    for (size_t i = 0; i < len; i++) {
        if (link_frame_feed(&device.reader, bytes[i], &frame)) {
            device.replies++;
            device.reply_message = frame.message;
            FUZZ_ASSERT(frame.len > 0);
        }
    }
}

static void power_on(void)
{
    device.flash.dead = false;
    device.flash.failing = false;
    device.flash.cut_at = 0;
    memset(&device.agent, 0xa5, sizeof device.agent);
    imprint_agent_init(&device.agent, &device.platform);
}

static void new_device(void)
{
    static const uint8_t authority[65] = {4, 1};

    if (!device.digest)
        device.digest = EVP_MD_CTX_new();
    device.platform = (struct imprint_agent_platform){
        .store = rig_flash_functions(&device.flash),
        .crypto = {.random = toy_random,
                   .sha256_init = hash_init,
                   .sha256_update = hash_update,
                   .sha256_final = hash_final,
                   .p256_public = toy_public,
                   .p256_ecdh = toy_ecdh,
                   .p256_sign = toy_sign,
                   .p256_verify = toy_verify,
                   .aes256_encrypt = toy_block,
                   .aes256_decrypt = toy_block},
        .keys = &toy_keys,
        .send = device_send,
        .chip_id = (const uint8_t *)"chip0001",
        .chip_id_len = 8,
        .firmware = "1.2.3",
        .authority = authority,
    };
    rig_flash_init(&device.flash);
    link_frame_reader_init(&device.reader);
    device.identity = device.locked = false;
    device.drawn = 0;
    power_on();
}

/* The private key of an identity is whole, and only that of P-256 is a scalar. */
static void check_private(const struct imprint_agent_identity *identity)
{
    uint8_t key[IMPRINT_AGENT_PRIVATE_MAX], spki[IMPRINT_OTHER_SPKI_MAX];
    uint32_t algorithm;
    size_t len = 0, spki_len;
    bool any = imprint_agent_private_read(&device.agent, key, sizeof key, &len);

    FUZZ_ASSERT(any == identity->has_other && !(any && identity->has_private));
    FUZZ_ASSERT(!any || toy_inspect(NULL, key, len, &algorithm, spki, sizeof spki, &spki_len));
    FUZZ_ASSERT(any || identity->has_private || identity->has_symmetric);
}

/* An identity, once there, is there until DECOMMISSION, and so is a lock. */
static void check_identity(bool farewell)
{
    struct imprint_agent_identity identity;
    bool any;

    if (device.flash.dead || device.flash.failing)
        return;
    any = imprint_agent_identity(&device.agent, &identity);
    FUZZ_ASSERT(any || !device.identity || farewell);
    FUZZ_ASSERT(!device.locked || identity.lifecycle == IMPRINT_LIFE_LOCKED || (farewell && !any));
    if (any)
        check_private(&identity);
    FUZZ_ASSERT(!any || identity.commit_count > 0);
    device.identity = any;
    device.locked = any && identity.lifecycle == IMPRINT_LIFE_LOCKED;
}

/* Every whole request is answered once, by its own message. */
static void send_message(uint8_t message, const uint8_t *payload, size_t len)
{
    struct buf frame;

    buf_init(&frame, LINK_FRAME_WIRE(IMPRINT_FRAME_MAX));
    link_frame_encode(&frame, message, 7, payload, len);
    device.replies = 0;
    if (!buf_failed(&frame))
        imprint_agent_input(&device.agent, frame.data, frame.len);
    if (!buf_failed(&frame) && len + IMPRINT_FRAME_OVERHEAD <= IMPRINT_AGENT_FRAME_MAX) {
        FUZZ_ASSERT(device.replies == 1);
        FUZZ_ASSERT(device.reply_message == (message | IMPRINT_MSG_REPLY));
    } else {
        FUZZ_ASSERT(device.replies == 0);
    }
    buf_done(&frame);
}

static void run_step(uint8_t kind, const uint8_t *bytes, size_t len)
{
    if (kind < STEP_MESSAGES) {
        send_message(kind, bytes, len);
    } else if (kind == STEP_RAW) {
        imprint_agent_input(&device.agent, bytes, len);
        imprint_agent_input(&device.agent, (const uint8_t *)"", 1); /* ends what it began */
    } else if (kind == STEP_RESTART) {
        power_on();
    } else if (kind == STEP_CUT && len == 2 && bytes[0] > 0) {
        device.flash.operations = 0;
        device.flash.cut_at = bytes[0];
        device.flash.torn = bytes[1] % 5u;
    } else if (kind == STEP_WORN) {
        device.flash.failing = true;
    }
    if (device.flash.dead)
        power_on();
    check_identity(kind == IMPRINT_MSG_DECOMMISSION || kind == STEP_RAW);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r;
    const uint8_t *bytes;
    uint8_t kind;
    size_t len;

    new_device();
    reader_init(&r, data, size);
    for (int steps = 0; steps < STEPS_MAX; steps++) {
        if (reader_u8(&r, &kind) || reader_lp(&r, &bytes, &len, UINT16_MAX))
            break;
        run_step(kind, bytes, len);
    }
    return 0;
}
