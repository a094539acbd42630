/* The agent takes part in the sessions of docs/device-link-vectors.json, byte for byte: whoever
 * wrote a station or a device by them can rely on it. */
#include "agent_fixture.h"

#include "base/codec.h"
#include "pki/ec.h"

#include <jansson.h>
#include <string.h>

static json_t *vectors;
static uint8_t transport_scalar[32], made_scalar[32];
static int draws;

static const char *text_of(const char *part, const char *name)
{
    json_t *at = json_object_get(vectors, part);
    const char *text = json_string_value(json_object_get(at, name));

    ck_assert_msg(text != NULL, "the vectors lack %s.%s", part, name);
    return text;
}

/* Appends a member in hexadecimal. */
static void load(const char *part, const char *name, struct buf *out)
{
    const char *text = text_of(part, name);
    size_t len = strlen(text) / 2;

    buf_init(out, 65536);
    ck_assert_int_eq(hex_decode(text, buf_grow(out, len), len), 0);
}

static void load_fixed(const char *part, const char *name, uint8_t *out, size_t len)
{
    ck_assert_int_eq(hex_decode(text_of(part, name), out, len), 0);
}

static bool draw_the_known_key(void *context, uint8_t *out, size_t len)
{
    (void)context;
    ck_assert_uint_eq(len, sizeof transport_scalar);
    memcpy(out, draws++ == 0 ? transport_scalar : made_scalar, len);
    return true;
}

static bool makes_its_key(void)
{
    return json_object_get(vectors, "keygen") != NULL;
}

/* A device as that of session number i. */
static void begin_session(int i)
{
    static uint8_t authority[65], image[32];
    json_error_t where;
    json_t *all = json_load_file(IMPRINT_DOCS "/device-link-vectors.json", 0, &where);

    ck_assert_msg(all != NULL, "%s", where.text);
    ck_assert_uint_eq(json_array_size(all), 5);
    vectors = json_incref(json_array_get(all, (size_t)i));
    json_decref(all);
    load_fixed("station", "authority", authority, sizeof authority);
    load_fixed("secrets", "transport", transport_scalar, sizeof transport_scalar);
    draws = 0;
    if (makes_its_key())
        load_fixed("secrets", "made", made_scalar, sizeof made_scalar);
    rig_init(&rig, authority);
    rig.platform.crypto.random = draw_the_known_key;
    if (json_object_get(json_object_get(vectors, "facts"), "image_hash")) {
        load_fixed("facts", "image_hash", image, sizeof image);
        rig.platform.image_hash = image;
    }
}

static void end_session(void)
{
    rig_done(&rig);
    json_decref(vectors);
}

/* A request as it is written down; its reply. */
static int request(uint8_t message, const char *name, struct link_frame *reply)
{
    struct buf payload;
    int rc;

    load("requests", name, &payload);
    rc = link_client_request(&rig.client, message, &payload, reply, &err);
    buf_done(&payload);
    return rc;
}

static void say_hello(void)
{
    struct link_frame reply;
    struct buf facts, ours;

    ASSERT_OK(request(IMPRINT_MSG_HELLO, "hello", &reply), err);
    ASSERT_OK(link_hello_decode(reply.payload, reply.len, &hello, &err), err);
    load("facts", "encoded", &facts);
    buf_init(&ours, LINK_FACTS_MAX);
    ASSERT_OK(link_facts_encode(&hello.facts, &ours, &err), err);
    ck_assert_uint_eq(ours.len, facts.len);
    ck_assert_mem_eq(ours.data, facts.data, facts.len);
    buf_done(&ours);
    buf_done(&facts);
}

static void put(const char *part, const uint8_t *transaction, uint16_t type, const char *name)
{
    struct buf b;

    load(part, name, &b);
    ASSERT_OK(
        link_client_put_object(&rig.client, transaction, type, b.data, (uint32_t)b.len, 0, &err),
        err);
    buf_done(&b);
}

static bool has(const char *part, const char *name)
{
    return json_object_get(json_object_get(vectors, part), name) != NULL;
}

/* The objects that only some sessions have. */
static void put_more(const uint8_t *transaction)
{
    static const struct {
        uint16_t type;
        const char *name;
    } all[] = {{IMPRINT_OBJ_FIRMWARE_KEY, "firmware_key"},
               {IMPRINT_OBJ_SYMMETRIC_KEY, "wrapped_symmetric"},
               {IMPRINT_OBJ_CONFIGURATION, "configuration"},
               {IMPRINT_OBJ_CONFIGURATION_KEY, "configuration_key"},
               {IMPRINT_OBJ_DECOMMISSION_KEY, "decommission_key"}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (has("more", all[i].name))
            put("more", transaction, all[i].type, all[i].name);
}

/* In derived mode: the very HMAC that is written down. */
static void check_hmac(const uint8_t *transaction, const uint8_t *nonce)
{
    struct imprint_agent_identity identity;
    struct link_proof proof;
    uint8_t expected[32];

    ck_assert(imprint_agent_identity(&rig.agent, &identity));
    load_fixed("secrets", "symmetric", expected, sizeof expected);
    ck_assert_mem_eq(identity.symmetric, expected, sizeof expected);
    load_fixed("proof", "signature", expected, sizeof expected);
    ASSERT_OK(link_client_prove(&rig.client, transaction, nonce, &proof, &err), err);
    ck_assert_uint_eq(proof.sig.alg, IMPRINT_ALG_HMAC_SHA256);
    ck_assert_mem_eq(proof.sig.bytes, expected, sizeof expected);
}

/* The owner's word, as it is written down, takes the identity away. */
static void decommission(void)
{
    struct imprint_agent_identity identity;
    struct link_frame reply;
    struct buf payload;

    load("decommission", "request", &payload);
    ASSERT_OK(link_client_request(&rig.client, IMPRINT_MSG_DECOMMISSION, &payload, &reply, &err),
              err);
    ASSERT_OK(link_empty_decode(reply.payload, reply.len, &err), err);
    ck_assert(!imprint_agent_identity(&rig.agent, &identity));
    buf_done(&payload);
}

static void check_proof(const uint8_t *transaction)
{
    struct imprint_agent_identity identity;
    struct link_proof proof;
    struct buf message, pkcs8;
    uint8_t nonce[32], point[65];

    load_fixed("proof", "nonce", nonce, sizeof nonce);
    if (!has("proof", "leaf_hash")) {
        check_hmac(transaction, nonce);
        return;
    }
    ck_assert(imprint_agent_identity(&rig.agent, &identity));
    load("secrets", makes_its_key() ? "made" : "pkcs8", &pkcs8);
    ck_assert_ptr_nonnull(memmem(pkcs8.data, pkcs8.len, identity.scalar, 32));
    ck_assert_str_eq(identity.serial, text_of("station", "serial"));
    load("proof", "message", &message);
    ASSERT_OK(link_client_prove(&rig.client, transaction, nonce, &proof, &err), err);
    ck_assert(rig.platform.crypto.p256_public(rig.platform.crypto.context, identity.scalar, point));
    ASSERT_OK(ec_verify(point, message.data, message.len, proof.sig.bytes, &err), err);
    buf_done(&message);
    buf_done(&pkcs8);
}

/* The request but for its signature, and the attestation of the key. */
static void make_key(void)
{
    struct link_request got;
    struct link_frame reply;
    struct buf csr;
    size_t info;

    ASSERT_OK(request(IMPRINT_MSG_KEYGEN, "keygen", &reply), err);
    ASSERT_OK(link_keygen_decode(reply.payload, reply.len, &got, &err), err);
    load("keygen", "csr", &csr);
    info = (size_t)csr.data[4] + 2; /* both heads have one byte of length here */
    ck_assert_uint_eq(csr.data[1], 0x81);
    ck_assert_uint_gt(got.csr_len, 3 + info);
    ck_assert_mem_eq(got.csr + 3, csr.data + 3, info);
    buf_done(&csr);
}

START_TEST(the_agent_takes_the_sessions_as_they_are_written_down)
{
    struct link_frame reply;
    struct link_held held;
    uint8_t transaction[16];
    uint32_t count;

    begin_session(_i);
    load_fixed("station", "transaction", transaction, sizeof transaction);
    say_hello();
    if (makes_its_key())
        make_key();
    ASSERT_OK(request(IMPRINT_MSG_BEGIN, "begin", &reply), err);
    ASSERT_OK(link_begin_decode(reply.payload, reply.len, &held, &err), err);
    if (has("proof", "leaf_hash")) {
        if (!makes_its_key())
            put("station", transaction, IMPRINT_OBJ_PRIVATE_KEY, "wrapped");
        put("station", transaction, IMPRINT_OBJ_CERTIFICATES, "certificates");
    }
    put("station", transaction, IMPRINT_OBJ_TRUST_ANCHORS, "anchors");
    put_more(transaction);
    ASSERT_OK(link_client_commit(&rig.client, transaction, &count, &err), err);
    check_proof(transaction);
    if (json_object_get(vectors, "decommission"))
        decommission();
    end_session();
}
END_TEST

START_TEST(a_device_with_another_transport_key_refuses_them)
{
    struct link_frame reply;
    struct link_held held;

    begin_session(_i);
    transport_scalar[31] ^= 1;
    ASSERT_OK(request(IMPRINT_MSG_HELLO, "hello", &reply), err);
    if (makes_its_key()) {
        ASSERT_OK(request(IMPRINT_MSG_KEYGEN, "keygen", &reply), err);
        ASSERT_STATUS(link_keygen_decode(reply.payload, reply.len, &(struct link_request){0}, &err),
                      IMPRINT_ERR_STATION);
        end_session();
        return;
    }
    ASSERT_OK(request(IMPRINT_MSG_BEGIN, "begin", &reply), err);
    ASSERT_STATUS(link_begin_decode(reply.payload, reply.len, &held, &err), IMPRINT_ERR_STATION);
    end_session();
}
END_TEST

static const int sessions[5];

CHECK_ITEMS_MAIN("vectors",
                 EACH_ROW(the_agent_takes_the_sessions_as_they_are_written_down, sessions),
                 EACH_ROW(a_device_with_another_transport_key_refuses_them, sessions))
