#include "station/order.h"

#include "agent/ids.h"
#include "base/codec.h"
#include "base/file.h"
#include "pki/digest.h"

#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#define COUNT_MAX INT64_C(100000000)

/* What is being parsed, and the first thing wrong with it. */
struct source {
    const char *name;
    struct error *err;
};

static int wrong(const struct source *s, const char *member, const char *expected)
{
    return error_set(s->err, ERR_INPUT, "order '%s': member '%s' must be %s", s->name, member,
                     expected);
}

static int text_member(const struct source *s, const json_t *root, const char *member, char *out,
                       size_t size)
{
    const json_t *value = json_object_get(root, member);
    const char *text = json_string_value(value);
    size_t len = text ? json_string_length(value) : 0;

    if (!text || len == 0 || len >= size || strlen(text) != len)
        return wrong(s, member, "a text that is not empty and not too long");
    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return wrong(s, member, "printable ASCII");
    memcpy(out, text, len + 1);
    return 0;
}

static int hash_member(const struct source *s, const json_t *root, const char *member,
                       uint8_t out[32])
{
    const char *text = json_string_value(json_object_get(root, member));

    if (!text || hex_decode(text, out, 32))
        return wrong(s, member, "a SHA-256 in 64 lower-case hexadecimal digits");
    return 0;
}

static int known_members(const struct source *s, const json_t *object, const char *const *names)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        const char *const *n = names;

        while (*n && strcmp(*n, key))
            n++;
        if (!*n)
            return error_set(s->err, ERR_INPUT, "order '%s': unknown member '%s'", s->name, key);
    }
    return 0;
}

static int vendor_roots_member(const struct source *s, const json_t *root, struct order *order)
{
    const json_t *roots = json_object_get(root, "vendor_roots");
    size_t n = json_array_size(roots);

    if (n == 0 || n > ORDER_VENDOR_ROOTS_MAX)
        return wrong(s, "vendor_roots", "a list of 1 to 8 hashes of root certificates");
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(roots, i));

        if (!text || hex_decode(text, order->vendor_roots[i], 32))
            return wrong(s, "vendor_roots", "made of SHA-256 in 64 lower-case hexadecimal digits");
    }
    order->vendor_root_count = n;
    return 0;
}

static int auth_member(const struct source *s, const json_t *root, struct order *order)
{
    static const char *const names[] = {[ORDER_AUTH_NONE] = "none",
                                        [ORDER_AUTH_ENROLLED] = "enrolled",
                                        [ORDER_AUTH_ATTESTED] = "attested"};
    const char *auth = json_string_value(json_object_get(root, "device_auth"));
    int found = ORDER_AUTH_ATTESTED;

    while (found >= 0 && (!auth || strcmp(auth, names[found])))
        found--;
    if (found < 0)
        return wrong(s, "device_auth", "\"attested\", \"enrolled\" or \"none\"; it has no default");
    order->auth = (enum order_auth)found;
    if (order->auth != ORDER_AUTH_ENROLLED && json_object_get(root, "enrolled"))
        return wrong(s, "enrolled", "left out unless device_auth is \"enrolled\"");
    if (order->auth != ORDER_AUTH_ATTESTED && json_object_get(root, "vendor_roots"))
        return wrong(s, "vendor_roots", "left out unless device_auth is \"attested\"");
    if (order->auth == ORDER_AUTH_ATTESTED)
        return vendor_roots_member(s, root, order);
    return order->auth == ORDER_AUTH_ENROLLED ? hash_member(s, root, "enrolled", order->enrolled)
                                              : 0;
}

static int suites_member(const struct source *s, const json_t *root, struct order *order)
{
    const json_t *suites = json_object_get(root, "suites");
    size_t n = json_array_size(suites);

    if (n == 0 || n > ORDER_SUITES_MAX)
        return wrong(s, "suites", "a list of suite numbers, such as [1]");
    for (size_t i = 0; i < n; i++) {
        json_int_t suite = json_integer_value(json_array_get(suites, i));

        if (suite != IMPRINT_SUITE_ECB && suite != IMPRINT_SUITE_X963)
            return wrong(s, "suites", "made of 1 (ECDH, AES-ECB) and 2 (ECDH, ANSI X9.63)");
        order->suites[i] = (uint16_t)suite;
    }
    order->suite_count = n;
    return 0;
}

static int objects_member(const struct source *s, const json_t *root, struct order *order)
{
    static const char *const names[] = {"trust_anchors", NULL};
    const json_t *objects = json_object_get(root, "objects");
    int rc;

    if (!objects)
        return 0;
    if (!json_is_object(objects))
        return wrong(s, "objects", "an object with the SHA-256 of each injected object");
    rc = known_members(s, objects, names);
    if (rc || !json_object_get(objects, "trust_anchors"))
        return rc;
    order->has_trust_anchors = true;
    return hash_member(s, objects, "trust_anchors", order->trust_anchors);
}

static int count_member(const struct source *s, const json_t *counts, const char *member,
                        int64_t least, int64_t *out)
{
    const json_t *value = json_object_get(counts, member);

    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > COUNT_MAX)
        return wrong(s, member, "a whole number, and max_issued not below good");
    *out = json_integer_value(value);
    return 0;
}

static int counts_member(const struct source *s, const json_t *root, struct order *order)
{
    static const char *const names[] = {"good", "max_issued", "spoilage", NULL};
    const json_t *counts = json_object_get(root, "counts");

    if (!json_is_object(counts))
        return wrong(s, "counts", "an object with good, max_issued and spoilage");
    if (known_members(s, counts, names) || count_member(s, counts, "good", 1, &order->good) ||
        count_member(s, counts, "max_issued", order->good, &order->max_issued))
        return ERR_INPUT;
    return count_member(s, counts, "spoilage", 0, &order->spoilage);
}

static int rest_of_order(const struct source *s, const json_t *root, struct order *order)
{
    static const char *const names[] = {
        "type",     "id",           "environment", "product", "profile", "use",    "device_auth",
        "enrolled", "vendor_roots", "suites",      "lock",    "objects", "counts", NULL};
    const char *type = json_string_value(json_object_get(root, "type"));
    const char *profile = json_string_value(json_object_get(root, "profile"));
    const json_t *lock = json_object_get(root, "lock");

    if (known_members(s, root, names))
        return ERR_INPUT;
    if (!type || strcmp(type, "order"))
        return wrong(s, "type", "\"order\"");
    if (!profile || strcmp(profile, "idevid"))
        return wrong(s, "profile", "\"idevid\" (IEEE 802.1AR)");
    if (!json_is_boolean(lock))
        return wrong(s, "lock", "true or false");
    order->lock = json_is_true(lock);
    if (text_member(s, root, "id", order->id, sizeof order->id) ||
        text_member(s, root, "environment", order->environment, sizeof order->environment) ||
        text_member(s, root, "product", order->product, sizeof order->product) ||
        text_member(s, root, "use", order->use, sizeof order->use))
        return ERR_INPUT;
    if (strcmp(order->use, "registration") && strcmp(order->use, "operational"))
        return wrong(s, "use", "\"registration\" or \"operational\"");
    if (auth_member(s, root, order) || suites_member(s, root, order) ||
        counts_member(s, root, order))
        return ERR_INPUT;
    return objects_member(s, root, order);
}

int order_parse(const char *name, const void *bytes, size_t len, struct order *order,
                struct error *err)
{
    struct source source = {name, err};
    struct order parsed = {.auth = ORDER_AUTH_NONE};
    json_error_t why;
    json_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &why);
    int rc;

    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(err, ERR_INPUT, "order '%s': line %d: %s", name, root ? 1 : why.line,
                         root ? "an object was expected" : why.text);
    }
    rc = rest_of_order(&source, root, &parsed);
    json_decref(root);
    if (rc)
        return rc;
    sha256(bytes, len, parsed.hash);
    *order = parsed;
    return 0;
}

static int open_signed(const struct buf *file, STACK_OF(X509) * pins, struct buf *content,
                       struct error *err)
{
    int rc;

    if (!pins && file->len > 0 && file->data[0] == '{') {
        buf_put(content, file->data, file->len);
        return buf_check(content, "an order", err);
    }
    rc = signed_open(file->data, file->len, pins, content, err);
    return rc == ERR_FORMAT ? error_recode(err, ERR_INPUT) : rc;
}

int order_read(const char *path, STACK_OF(X509) * pins, struct order *order, struct buf *content,
               struct error *err)
{
    struct buf file;
    int rc;

    buf_init(&file, 2 * ORDER_FILE_MAX);
    rc = file_read(path, &file, err);
    if (rc == 0) {
        rc = open_signed(&file, pins, content, err);
        if (rc)
            error_prefix(err, "order '%s'", path);
    }
    if (rc == 0)
        rc = order_parse(path, content->data, content->len, order, err);
    buf_done(&file);
    return rc;
}
