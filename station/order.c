#include "station/order.h"

#include "agent/ids.h"
#include "base/clock.h"
#include "base/codec.h"
#include "pki/digest.h"
#include "station/order_exports.h"
#include "station/order_json.h"
#include "station/order_stations.h"

#include <string.h>

#define WARN_BEFORE_END (72 * 3600)

static int type_member(const struct order_source *s, const json_t *root, struct order *order)
{
    const char *type = json_string_value(json_object_get(root, "type"));

    if (!type || (strcmp(type, "order") && strcmp(type, "amendment")))
        return order_wrong(s, "type", "\"order\" or \"amendment\"");
    order->type = type[0] == 'o' ? ORDER_FIRST : ORDER_AMENDMENT;
    order->has_recovery = json_object_get(root, "recovery") != NULL;
    if (order->type == ORDER_FIRST && json_object_get(root, "amends"))
        return order_wrong(s, "amends", "left out unless type is \"amendment\"");
    if (order->type == ORDER_FIRST && order->has_recovery)
        return order_wrong(s, "recovery", "left out unless type is \"amendment\"");
    if (order->type == ORDER_AMENDMENT && order_hash_text(s, root, "amends", order->amends))
        return ERR_INPUT;
    return order->has_recovery ? order_hash_text(s, root, "recovery", order->recovery) : 0;
}

/* GS1 General Specifications 7.9: weights 3 and 1 from the right, the last digit makes it 10n. */
static bool is_gtin14(const char *text)
{
    int sum = 0;

    if (strlen(text) != 14 || strspn(text, "0123456789") != 14)
        return false;
    for (int i = 0; i < 14; i++)
        sum += (text[i] - '0') * (i % 2 ? 1 : 3);
    return sum % 10 == 0;
}

static int product_members(const struct order_source *s, const json_t *root, struct order *order)
{
    if (order_word(s, root, "product", order->product, sizeof order->product))
        return ERR_INPUT;
    if (!json_object_get(root, "gtin"))
        return 0;
    if (order_text(s, root, "gtin", order->gtin, sizeof order->gtin))
        return ERR_INPUT;
    return is_gtin14(order->gtin) ? 0
                                  : order_wrong(s, "gtin", "14 digits with the right check digit");
}

static int valid_member(const struct order_source *s, const json_t *root, struct order *order)
{
    static const char *const names[] = {"from", "until", NULL};
    const json_t *valid = NULL;

    if (order_object(s, root, "valid", &valid) || order_known(s, valid, names) ||
        order_time(s, valid, "from", &order->from) || order_time(s, valid, "until", &order->until))
        return ERR_INPUT;
    return order->from < order->until ? 0 : order_wrong(s, "until", "later than from");
}

/* A list of hashes; expected is what an empty or too long one should be. */
static int hash_list(const struct order_source *s, const json_t *root, const char *member,
                     const char *expected, size_t most, uint8_t (*out)[32], size_t *count)
{
    const json_t *list = json_object_get(root, member);
    size_t n = json_array_size(list);

    if (n == 0 || n > most)
        return order_wrong(s, member, expected);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (!text || hex_decode(text, out[i], 32))
            return order_wrong(s, member, "made of SHA-256 in 64 lower-case digits");
    }
    *count = n;
    return 0;
}

static int vendor_roots_member(const struct order_source *s, const json_t *root,
                               struct order *order)
{
    return hash_list(s, root, "vendor_roots", "a list of the SHA-256 of each vendor's certificate",
                     ORDER_VENDOR_ROOTS_MAX, order->vendor_roots, &order->vendor_root_count);
}

/* Symmetric keys: whether there are any beside private ones, and who may have them. */
static int symmetric_members(const struct order_source *s, const json_t *root, struct order *order)
{
    if (json_object_get(root, "symmetric_key") &&
        order_bool(s, root, "symmetric_key", &order->symmetric_key))
        return ERR_INPUT;
    if (order->symmetric_key && !(order->key_modes & IMPRINT_MODE_HSM))
        return order_wrong(s, "symmetric_key", "left out, or false, without key mode \"hsm\"");
    if (!json_object_get(root, "key_recipients"))
        return 0;
    if (!order->symmetric_key && !(order->key_modes & IMPRINT_MODE_DERIVED))
        return order_wrong(s, "key_recipients", "left out where no symmetric keys are made");
    return hash_list(s, root, "key_recipients",
                     "a list of the SHA-256 of each recipient's certificate", ORDER_RECIPIENTS_MAX,
                     order->recipients, &order->recipient_count);
}

static int auth_member(const struct order_source *s, const json_t *root, struct order *order)
{
    static const char *const names[] = {"none", "enrolled", "attested"};
    const char *auth = json_string_value(json_object_get(root, "device_auth"));
    size_t found = 0;

    while (auth && found < 3 && strcmp(auth, names[found]))
        found++;
    if (!auth || found == 3)
        return order_wrong(s, "device_auth",
                           "\"none\", \"enrolled\" or \"attested\"; it has no default");
    order->auth = (enum order_auth)found;
    if (order->auth != ORDER_AUTH_ENROLLED && json_object_get(root, "enrolled"))
        return order_wrong(s, "enrolled", "left out unless device_auth is \"enrolled\"");
    if (order->auth != ORDER_AUTH_ATTESTED && json_object_get(root, "vendor_roots"))
        return order_wrong(s, "vendor_roots", "left out unless device_auth is \"attested\"");
    if (order->auth == ORDER_AUTH_ENROLLED)
        return order_hash_text(s, root, "enrolled", order->enrolled);
    return order->auth == ORDER_AUTH_ATTESTED ? vendor_roots_member(s, root, order) : 0;
}

static int suites_member(const struct order_source *s, const json_t *root, struct order *order)
{
    const json_t *suites = json_object_get(root, "suites");
    size_t n = json_array_size(suites);

    if (n == 0 || n > ORDER_SUITES_MAX)
        return order_wrong(s, "suites", "a list of suite numbers, such as [1]");
    for (size_t i = 0; i < n; i++) {
        json_int_t suite = json_integer_value(json_array_get(suites, i));

        if (suite != IMPRINT_SUITE_ECB && suite != IMPRINT_SUITE_X963)
            return order_wrong(s, "suites", "made of 1 (ECDH, AES-ECB) and 2 (ECDH, ANSI X9.63)");
        order->suites[i] = (uint16_t)suite;
    }
    order->suite_count = n;
    return 0;
}

static int object_member(const struct order_source *s, const json_t *objects, unsigned type,
                         struct order_object *out)
{
    const char *name = job_object_name(type);

    if (!name || !json_object_get(objects, name))
        return 0;
    out->named = true;
    return order_hash_text(s, objects, name, out->hash);
}

static int objects_member(const struct order_source *s, const json_t *root, struct order *order)
{
    const char *names[IMPRINT_OBJECTS_MAX + 2] = {"trust_anchors"};
    const json_t *objects = json_object_get(root, "objects");
    size_t n = 1;
    int rc;

    if (!objects)
        return 0;
    if (!json_is_object(objects))
        return order_wrong(s, "objects", "an object with the SHA-256 of each injected object");
    for (unsigned type = 0; type <= IMPRINT_OBJECTS_MAX; type++)
        if (job_object_name(type))
            names[n++] = job_object_name(type);
    rc = order_known(s, objects, names);
    for (unsigned type = 0; rc == 0 && type <= IMPRINT_OBJECTS_MAX; type++)
        rc = object_member(s, objects, type, &order->objects[type]);
    if (rc || !json_object_get(objects, "trust_anchors"))
        return rc;
    order->has_trust_anchors = true;
    return order_hash_text(s, objects, "trust_anchors", order->trust_anchors);
}

/* Each mode once. */
static int modes_member(const struct order_source *s, const json_t *root, struct order *order)
{
    static const struct {
        const char *name;
        enum imprint_mode mode;
    } known[] = {{"hsm", IMPRINT_MODE_HSM},
                 {"device", IMPRINT_MODE_DEVICE},
                 {"derived", IMPRINT_MODE_DERIVED}};
    const json_t *list = json_object_get(root, "key_modes"), *item;
    uint32_t modes = 0;
    size_t i, taken = 0;

    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(item);

        for (size_t k = 0; name && k < sizeof known / sizeof *known; k++)
            if (strcmp(name, known[k].name) == 0 && !(modes & known[k].mode)) {
                modes |= known[k].mode;
                taken++;
            }
    }
    if (taken == 0 || taken != json_array_size(list))
        return order_wrong(s, "key_modes",
                           "a list of \"hsm\", \"device\" and \"derived\", or some of them");
    order->key_modes = modes;
    return 0;
}

/* Each type once. Orders are older than this member, and were for P-256 keys. */
static int keys_member(const struct order_source *s, const json_t *root, struct order *order)
{
    const json_t *list = json_object_get(root, "keys"), *item;
    size_t i, taken = 0;

    order->keys = list ? 0 : 1u << KEY_P256;
    json_array_foreach(list, i, item)
    {
        enum key_type type;

        if (json_string_value(item) && key_type_named(json_string_value(item), &type) &&
            !(order->keys >> type & 1)) {
            order->keys |= 1u << type;
            taken++;
        }
    }
    if (list && (taken == 0 || taken != json_array_size(list)))
        return order_wrong(s, "keys", "a list of types of keys, each once: " KEY_TYPE_NAMES);
    return 0;
}

static int counts_member(const struct order_source *s, const json_t *root, struct order *order)
{
    static const char *const names[] = {"good", "max_issued", "spoilage", "rework", NULL};
    const json_t *counts = NULL;

    if (order_object(s, root, "counts", &counts) || order_known(s, counts, names))
        return ERR_INPUT;
    return order_counts_members(s, counts, &order->counts);
}

static int profile_member(const struct order_source *s, const json_t *root, struct order *order)
{
    static const char *const names[] = {"name", "sha256", NULL};
    const json_t *profile = NULL;

    if (order->key_modes == IMPRINT_MODE_DERIVED)
        return json_object_get(root, "profile")
                   ? order_wrong(s, "profile",
                                 "left out where key_modes is [\"derived\"]: there "
                                 "are no certificates")
                   : 0;
    if (!json_is_object(json_object_get(root, "profile")))
        return order_wrong(s, "profile",
                           "an object with name and sha256, as 'imprint profile list' says them");
    if (order_object(s, root, "profile", &profile) || order_known(s, profile, names) ||
        order_word(s, profile, "name", order->profile, sizeof order->profile))
        return ERR_INPUT;
    return order_hash_text(s, profile, "sha256", order->profile_hash);
}

static int name_members(const struct order_source *s, const json_t *root, struct order *order)
{
    if (order_text(s, root, "id", order->id, sizeof order->id) ||
        order_text(s, root, "environment", order->environment, sizeof order->environment) ||
        product_members(s, root, order))
        return ERR_INPUT;
    if (order_text(s, root, "use", order->use, sizeof order->use))
        return ERR_INPUT;
    if (strcmp(order->use, "registration") && strcmp(order->use, "operational"))
        return order_wrong(s, "use", "\"registration\" or \"operational\"");
    return 0;
}

static int order_members(const struct order_source *s, const json_t *root, struct order *order)
{
    static const char *const names[] = {
        "type",    "amends",      "id",        "environment",   "product",
        "gtin",    "profile",     "use",       "valid",         "software_hsm",
        "lock",    "device_auth", "enrolled",  "vendor_roots",  "suites",
        "drivers", "objects",     "counts",    "stations",      "recovery",
        "exports", "keys",        "key_modes", "symmetric_key", "key_recipients",
        NULL};

    if (order_known(s, root, names) || type_member(s, root, order) ||
        name_members(s, root, order) || valid_member(s, root, order) ||
        order_bool(s, root, "software_hsm", &order->software_hsm) ||
        order_bool(s, root, "lock", &order->lock) || auth_member(s, root, order) ||
        modes_member(s, root, order) || keys_member(s, root, order) ||
        profile_member(s, root, order) || symmetric_members(s, root, order) ||
        suites_member(s, root, order) || order_only(s, root, "drivers", "native") ||
        objects_member(s, root, order) || counts_member(s, root, order))
        return ERR_INPUT;
    if (order_stations_member(s, root, order))
        return ERR_INPUT;
    return order_exports_member(s, root, order);
}

int order_parse(const char *name, const void *bytes, size_t len, struct order *order,
                struct error *err)
{
    const struct order_source source = {name, "", err};
    json_error_t why;
    json_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &why);
    int rc;

    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(err, ERR_INPUT, "order '%s': line %d: %s", name, root ? 1 : why.line,
                         root ? "an object was expected" : why.text);
    }
    memset(order, 0, sizeof *order);
    rc = order_members(&source, root, order);
    json_decref(root);
    sha256(bytes, len, order->hash);
    return rc;
}

int order_open(const char *source, const struct buf *file, STACK_OF(X509) * pins,
               struct order *order, struct error *err)
{
    struct buf content;
    int rc;

    buf_init(&content, ORDER_FILE_MAX);
    rc = signed_open(file->data, file->len, pins, &content, err);
    if (rc == ERR_FORMAT)
        rc = error_recode(err, ERR_INPUT);
    if (rc)
        error_prefix(err, "order '%s'", source);
    else
        rc = order_parse(source, content.data, content.len, order, err);
    buf_done(&content);
    return rc;
}

const struct order_share *order_share_of(const struct order *order, const uint8_t key[32])
{
    for (size_t i = 0; i < order->station_count; i++)
        if (sha256_equal(order->stations[i].key, key))
            return &order->stations[i];
    return NULL;
}

int order_check_time(const struct order *order, int64_t now, struct error *err)
{
    char text[CLOCK_TEXT_SIZE];

    clock_text(now < order->from ? order->from : order->until, text);
    if (now < order->from)
        return error_next(
            err, NEXT_ORDER,
            error_set(err, ERR_REFUSED,
                      "order '%s' begins at %s: wait until then; if it should have begun, check "
                      "this machine's clock",
                      order->id, text));
    if (now >= order->until)
        return error_next(
            err, NEXT_ORDER,
            error_set(err, ERR_REFUSED,
                      "order '%s' ended at %s: ask the owner for an amendment or another order",
                      order->id, text));
    return 0;
}

unsigned order_warnings(const struct order *order, const struct order_share *share, int64_t live,
                        int64_t issued, int64_t now)
{
    const struct order_counts *c = &share->counts;
    unsigned warnings = 0;

    if (live >= c->good - c->good / 20)
        warnings |= ORDER_NEAR_GOOD;
    if (issued >= c->max_issued - c->max_issued / 20)
        warnings |= ORDER_NEAR_MAX_ISSUED;
    if (now > order->until - WARN_BEFORE_END)
        warnings |= ORDER_NEAR_END;
    return warnings;
}
