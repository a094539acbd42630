#include "station/job.h"

#include "base/codec.h"
#include "base/file.h"
#include "pki/digest.h"
#include "station/connector/address.h"
#include "station/order_exports.h"
#include "station/profile/profile.h"
#include "station/schema/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <openssl/pem.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(owner, member, kind, is_required, least, most, what)                                 \
    {                                                                                              \
        .name = #member, .type = kind, .required = is_required,                                    \
        .offset = offsetof(struct owner, member), .min = least, .max = most, .meaning = what       \
    }

static const struct schema_field certificate_fields[] = {
    {.name = "profile",
     .type = SCHEMA_TEXT,
     .max = PATH_MAX - 1,
     .min = 1,
     .offset = offsetof(struct job_certificate, profile_path),
     .meaning = "path of the profile's file; not for a shipped profile"},
    FIELD(job_certificate, organization, SCHEMA_TEXT, false, 1, 64, "the maker's name"),
    FIELD(job_certificate, hardware_type, SCHEMA_TEXT, false, 3, 128,
          "object identifier of the hardware type, such as 1.3.6.1.4.1.32473.1.7"),
    FIELD(job_certificate, vendor_id, SCHEMA_TEXT, false, 4, 4, "Matter's id of the vendor"),
    FIELD(job_certificate, product_id, SCHEMA_TEXT, false, 4, 4, "Matter's id of the product"),
    {.name = NULL}};

static const struct schema_field object_fields[] = {
    FIELD(job_objects, firmware_key, SCHEMA_TEXT, false, 1, PATH_MAX - 1,
          "path of the public key that devices verify firmware with"),
    FIELD(job_objects, configuration, SCHEMA_TEXT, false, 1, PATH_MAX - 1,
          "path of the configuration that every device gets"),
    FIELD(job_objects, configuration_signature, SCHEMA_TEXT, false, 1, PATH_MAX - 1,
          "path of the configuration's signature"),
    FIELD(job_objects, configuration_key, SCHEMA_TEXT, false, 1, PATH_MAX - 1,
          "path of the public key that signs configurations"),
    FIELD(job_objects, decommission_key, SCHEMA_TEXT, false, 1, PATH_MAX - 1,
          "path of the public key that takes identities away"),
    {.name = NULL}};

static const struct schema_field port_fields[] = {
    FIELD(job_port_rule, name, SCHEMA_TEXT, false, 1, 128, "port, such as /dev/ttyACM*"),
    FIELD(job_port_rule, usb, SCHEMA_TEXT, false, 9, 9,
          "VID:PID of a USB device, such as 1209:0001"),
    FIELD(job_port_rule, usb_path, SCHEMA_TEXT, false, 1, 31,
          "place of a USB device, such as 1-2.3 or 1-2.*"),
    FIELD(job_port_rule, tcp, SCHEMA_TEXT, false, 3, 120, "HOST:PORT of a terminal server"),
    {.name = "unix",
     .type = SCHEMA_TEXT,
     .min = 2,
     .max = 107,
     .offset = offsetof(struct job_port_rule, unix_path),
     .meaning = "absolute path of a stream socket"},
    FIELD(job_port_rule, slot, SCHEMA_TEXT, true, 1, 32,
          "label on the fixture; {n} counts from 1, {port} is the socket of the hub"),
    FIELD(job_port_rule, baud, SCHEMA_INT, false, 300, 12000000, "bits per second"),
    {.name = NULL}};

static const struct schema_field link_fields[] = {
    FIELD(job_link, hello_ms, SCHEMA_INT, false, 100, 600000,
          "milliseconds to wait for a device to answer at all"),
    FIELD(job_link, request_ms, SCHEMA_INT, false, 50, 600000,
          "milliseconds to wait for each answer"),
    FIELD(job_link, keygen_ms, SCHEMA_INT, false, 50, 3600000,
          "milliseconds that a device may take to make its key"),
    FIELD(job_link, attempts, SCHEMA_INT, false, 1, 1000,
          "runs that may fail with one credential before its device is set aside"),
    FIELD(job_link, repeats, SCHEMA_INT, false, 0, 20, "repeats of an unanswered request"),
    FIELD(job_link, retries, SCHEMA_INT, false, 0, 10,
          "attempts after the first, with a device that does not answer or answers garbage"),
    {.name = NULL}};

static const char *const steps[] = {
    [JOB_STEP_ALL] = "all", [JOB_STEP_INSTALL] = "install", [JOB_STEP_LOCK] = "lock"};

#define STEPS (sizeof steps / sizeof *steps)

/* The number of a step's name, STEPS for no such name. */
static size_t find_step(const char *name)
{
    size_t i = 0;

    while (i < STEPS && strcmp(name, steps[i]))
        i++;
    return i;
}

static int check_step(const void *value, const char **member, struct error *err)
{
    (void)member;
    return find_step(value) < STEPS
               ? 0
               : error_set(err, ERR_INPUT, "'step' must be all, install or lock");
}

static int check_key_name(const void *value, const char **member, struct error *err)
{
    enum key_type type;

    (void)member;
    return key_type_named(value, &type)
               ? 0
               : error_set(err, ERR_INPUT, "'key' must be one of " KEY_TYPE_NAMES);
}

static const struct schema_field job_fields[] = {
    FIELD(job, name, SCHEMA_TEXT, true, 1, 64, "name of the job, for people"),
    {.name = "order",
     .type = SCHEMA_TEXT,
     .required = true,
     .max = 64,
     .min = 1,
     .offset = offsetof(struct job, order),
     .meaning = "id of the work order, which the station has"},
    FIELD(job, issuer, SCHEMA_TEXT, false, 1, 95,
          "name of the issuing CA, of those that the order lists; without it, the newest"),
    FIELD(job, key_mode, SCHEMA_TEXT, false, 3, 7, "how keys are made: hsm, device or derived"),
    {.name = "symmetric_key",
     .type = SCHEMA_BOOL,
     .offset = offsetof(struct job, symmetric_key),
     .meaning = "true: devices get a symmetric key beside their private one"},
    {.name = "key",
     .type = SCHEMA_TEXT,
     .max = 7,
     .min = 4,
     .offset = offsetof(struct job, key),
     .check = check_key_name,
     .meaning = "type of the devices' keys: " KEY_TYPE_NAMES},
    {.name = "step",
     .type = SCHEMA_TEXT,
     .max = 7,
     .min = 3,
     .offset = offsetof(struct job, step_name),
     .check = check_step,
     .meaning = "all, or install now and lock in a run of its own"},
    {.name = "trust_anchors",
     .type = SCHEMA_TEXT,
     .max = PATH_MAX - 1,
     .min = 1,
     .offset = offsetof(struct job, trust_anchors_path),
     .meaning = "path of the PEM certificates that the device will trust"},
    {.name = "enrolled",
     .type = SCHEMA_TEXT,
     .max = PATH_MAX - 1,
     .min = 1,
     .offset = offsetof(struct job, enrolled_path),
     .meaning = "path of the list of enrolled device keys"},
    {.name = "vendor_roots",
     .type = SCHEMA_TEXT,
     .max = PATH_MAX - 1,
     .min = 1,
     .offset = offsetof(struct job, vendor_roots_path),
     .meaning = "path of the PEM certificates of the vendor roots that attest devices"},
    {.name = "objects",
     .type = SCHEMA_MAP,
     .fields = object_fields,
     .offset = offsetof(struct job, object_files),
     .meaning = "files of what else every device gets"},
    {.name = "serials",
     .type = SCHEMA_MAP,
     .required = true,
     .fields = job_serials_fields,
     .check = job_serials_check,
     .offset = offsetof(struct job, serials),
     .meaning = "how serial numbers are made"},
    {.name = "label",
     .type = SCHEMA_MAP,
     .fields = job_label_fields,
     .check = job_label_check,
     .offset = offsetof(struct job, label),
     .meaning = "what the units' labels carry, and whether they are checked"},
    {.name = "require",
     .type = SCHEMA_MAP,
     .fields = job_require_fields,
     .check = job_require_check,
     .offset = offsetof(struct job, require),
     .meaning = "what units must say of themselves before anything is claimed for them"},
    {.name = "certificate",
     .type = SCHEMA_MAP,
     .fields = certificate_fields,
     .offset = offsetof(struct job, certificate),
     .meaning = "values that the order's profile leaves to the job"},
    {.name = "ports",
     .type = SCHEMA_LIST,
     .required = true,
     .fields = port_fields,
     .min = 1,
     .max = JOB_PORT_RULES_MAX,
     .offset = offsetof(struct job, ports),
     .item_size = sizeof(struct job_port_rule),
     .count_offset = offsetof(struct job, port_count),
     .meaning = "rules that say which ports are slots"},
    {.name = "link",
     .type = SCHEMA_MAP,
     .fields = link_fields,
     .offset = offsetof(struct job, link),
     .meaning = "time limits of the device link"},
    {.name = NULL}};

/* Makes a path of the job file absolute or relative to the current folder. */
static int beside_job(const struct job *job, char path[PATH_MAX], struct error *err)
{
    char copy[PATH_MAX], joined[PATH_MAX];
    int rc;

    if (path[0] == 0 || path[0] == '/')
        return 0;
    snprintf(copy, sizeof copy, "%s", job->path);
    rc = file_join(joined, sizeof joined, dirname(copy), path, err);
    if (rc == 0)
        strcpy(path, joined);
    return rc;
}

static int append_certificates(BIO *pem, struct buf *out)
{
    X509 *cert;
    int count = 0;

    while ((cert = PEM_read_bio_X509(pem, NULL, NULL, NULL))) {
        unsigned char *der = NULL;
        int len = i2d_X509(cert, &der);

        if (len > 0)
            buf_put(out, der, (size_t)len);
        OPENSSL_free(der);
        X509_free(cert);
        count++;
    }
    return count;
}

static int missing_file(const struct job *job, const char *field, const char *path,
                        struct error *err)
{
    return error_set(err, ERR_MISSING,
                     "there is no file '%s': put it there, or correct '%s' in '%s'", path, field,
                     job->path);
}

static int read_trust_anchors(struct job *job, struct error *err)
{
    BIO *pem;
    int count;

    if (!job->trust_anchors_path[0])
        return 0;
    pem = BIO_new_file(job->trust_anchors_path, "r");
    if (!pem && errno != ENOENT)
        return error_set_errno(err, errno, "cannot open '%s'", job->trust_anchors_path);
    if (!pem)
        return missing_file(job, "trust_anchors", job->trust_anchors_path, err);
    count = append_certificates(pem, &job->trust_anchors);
    BIO_free(pem);
    if (count == 0 || buf_failed(&job->trust_anchors))
        return error_set(err, ERR_INPUT, "'%s' holds no PEM certificate, or more than %zu bytes",
                         job->trust_anchors_path, job->trust_anchors.limit);
    return 0;
}

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

/* One hash a line; blank lines and lines that begin with # are skipped. */
static int parse_enrolled(struct job *job, struct buf *text, struct error *err)
{
    char *line, *rest;
    size_t number = 0;

    buf_put_u8(text, 0);
    job->enrolled = calloc(text->len / 64 + 1, 32);
    if (!job->enrolled || buf_failed(text))
        return error_set(err, ERR_INTERNAL, "out of memory");
    rest = (char *)text->data;
    while ((line = strsep(&rest, "\n"))) {
        number++;
        if (!*line || *line == '#')
            continue;
        if (hex_decode(line, job->enrolled[job->enrolled_count], 32))
            return error_set(err, ERR_INPUT,
                             "%s:%zu:1: expected the SHA-256 of a public key in 64 lower-case "
                             "hexadecimal digits",
                             job->enrolled_path, number);
        job->enrolled_count++;
    }
    qsort(job->enrolled, job->enrolled_count, 32, compare_hashes);
    return 0;
}

static int read_enrolled(struct job *job, struct error *err)
{
    struct buf text;
    int rc;

    if (!job->enrolled_path[0])
        return 0;
    buf_init(&text, (size_t)JOB_ENROLLED_MAX * 65);
    rc = file_read(job->enrolled_path, &text, err);
    if (rc == ERR_MISSING)
        rc = missing_file(job, "enrolled", job->enrolled_path, err);
    if (rc == 0) {
        sha256(text.data, text.len, job->enrolled_hash);
        rc = parse_enrolled(job, &text, err);
    }
    buf_done(&text);
    return rc;
}

/* A certificate file of vendors: what is in it is compared with the order when the job is bound. */
static int keep_vendor_root(struct job *job, X509 *cert, struct error *err)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    struct buf *root = &job->vendor_roots[job->vendor_root_count];

    if (job->vendor_root_count == ORDER_VENDOR_ROOTS_MAX || len <= 0 || len > JOB_ROOT_MAX) {
        OPENSSL_free(der);
        return error_set(err, ERR_INPUT, "'%s' holds more than %d certificates, or one too long",
                         job->vendor_roots_path, ORDER_VENDOR_ROOTS_MAX);
    }
    buf_put(root, der, (size_t)len);
    OPENSSL_free(der);
    job->vendor_root_count++;
    return buf_check(root, "a vendor root", err);
}

static int read_vendor_roots(struct job *job, struct error *err)
{
    BIO *pem;
    X509 *cert;
    int rc = 0;

    if (!job->vendor_roots_path[0])
        return 0;
    pem = BIO_new_file(job->vendor_roots_path, "r");
    if (!pem && errno == ENOENT)
        return missing_file(job, "vendor_roots", job->vendor_roots_path, err);
    if (!pem)
        return error_set_errno(err, errno, "cannot open '%s'", job->vendor_roots_path);
    while (rc == 0 && (cert = PEM_read_bio_X509(pem, NULL, NULL, NULL))) {
        rc = keep_vendor_root(job, cert, err);
        X509_free(cert);
    }
    BIO_free(pem);
    if (rc == 0 && job->vendor_root_count == 0)
        rc = error_set(err, ERR_INPUT, "'%s' holds no PEM certificate", job->vendor_roots_path);
    return rc;
}

bool job_port_pattern(const struct job_port_rule *rule, char out[JOB_PATTERN_MAX + 1])
{
    const struct {
        const char *prefix, *rest;
    } forms[] = {{"", rule->name},
                 {RULE_USB, rule->usb},
                 {RULE_USB_PATH, rule->usb_path},
                 {ADDRESS_TCP, rule->tcp},
                 {ADDRESS_UNIX, rule->unix_path}};

    out[0] = 0;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (*forms[i].rest)
            snprintf(out, JOB_PATTERN_MAX + 1, "%s%s", forms[i].prefix, forms[i].rest);
    return address_is(out);
}

/* One device would be two slots. */
static int check_only_rule(const struct job *job, size_t index, const char *address,
                           struct error *err)
{
    char other[JOB_PATTERN_MAX + 1];

    for (size_t i = 0; i < index; i++)
        if (job_port_pattern(&job->ports[i], other) && strcmp(other, address) == 0)
            return error_set(err, ERR_INPUT, "'%s' is in rule %zu already", address, i + 1);
    return 0;
}

static int check_usb_rule(const struct job_port_rule *rule, struct error *err)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *path = rule->usb_path;

    if (rule->usb[0] && (strspn(rule->usb, digits) != 4 || rule->usb[4] != ':' ||
                         strspn(rule->usb + 5, digits) != 4))
        return error_set(err, ERR_INPUT,
                         "'%s' is not VID:PID: four hexadecimal digits each, such as 1209:0001",
                         rule->usb);
    if (path[strspn(path, "0123456789-.*?[]")])
        return error_set(err, ERR_INPUT,
                         "'%s' is no place of a USB device: 'imprint devices' shows them, such as "
                         "1-2.3",
                         path);
    return 0;
}

/* How many ways of naming ports a rule has. */
static int count_forms(const struct job_port_rule *rule)
{
    return (rule->name[0] != 0) + (rule->usb[0] != 0) + (rule->usb_path[0] != 0) +
           (rule->tcp[0] != 0) + (rule->unix_path[0] != 0);
}

static int check_port_rule(const struct job *job, size_t index, struct error *err)
{
    const struct job_port_rule *rule = &job->ports[index];
    char pattern[JOB_PATTERN_MAX + 1];
    int rc = check_usb_rule(rule, err);

    if (count_forms(rule) != 1)
        return error_set(err, ERR_INPUT,
                         "%s: rule %zu of 'ports' needs one of 'name', 'usb', 'usb_path', 'tcp' "
                         "and 'unix'",
                         job->path, index + 1);
    if (rc == 0 && rule->slot[0] == '@')
        rc = error_set(err, ERR_INPUT, "a slot's label does not begin with '@'");
    if (rc == 0 && strncmp(rule->name, "input:", strlen("input:")) == 0)
        rc = error_set(err, ERR_INPUT, "a keyboard is no slot");
    if (rc == 0 && job_port_pattern(rule, pattern)) {
        rc = address_check(pattern, err);
        if (rc == 0)
            rc = check_only_rule(job, index, pattern, err);
    }
    return rc ? error_prefix(err, "%s: rule %zu of 'ports'", job->path, index + 1) : 0;
}

static int read_named_files(struct job *job, struct error *err)
{
    int rc = beside_job(job, job->trust_anchors_path, err);

    if (rc == 0)
        rc = beside_job(job, job->enrolled_path, err);
    if (rc == 0)
        rc = beside_job(job, job->certificate.profile_path, err);
    if (rc == 0)
        rc = beside_job(job, job->vendor_roots_path, err);
    if (rc == 0)
        rc = beside_job(job, job->object_files.configuration_signature, err);
    for (unsigned type = 0; rc == 0 && type <= IMPRINT_OBJECTS_MAX; type++)
        if (job_object_name(type))
            rc = beside_job(job, job_object_path(&job->object_files, type), err);
    if (rc == 0)
        rc = beside_job(job, job->serials.file, err);
    if (rc == 0)
        rc = beside_job(job, job->serials.input, err);
    if (rc == 0)
        rc = job_serials_read(&job->serials, err);
    if (rc == 0)
        rc = read_trust_anchors(job, err);
    if (rc == 0)
        rc = job_objects_read(job, err);
    if (rc == 0)
        rc = read_enrolled(job, err);
    return rc ? rc : read_vendor_roots(job, err);
}

int job_read(const char *path, struct job *job, struct error *err)
{
    char text[128];
    int rc;

    memset(job, 0, sizeof *job);
    buf_init(&job->trust_anchors, JOB_ANCHORS_MAX);
    for (size_t i = 0; i < ORDER_VENDOR_ROOTS_MAX; i++)
        buf_init(&job->vendor_roots[i], JOB_ROOT_MAX);
    strcpy(job->step_name, steps[JOB_STEP_ALL]);
    strcpy(job->serials.source_name, "assigned");
    job->serials.first = -1;
    job->link = (struct job_link){
        .hello_ms = 5000, .request_ms = 2000, .repeats = 3, .retries = 2, .attempts = 10};
    for (size_t i = 0; i < JOB_PORT_RULES_MAX; i++)
        job->ports[i].baud = 115200;
    snprintf(job->path, sizeof job->path, "%s", path);
    rc = schema_read(path, job_fields, job, err);
    if (rc == ERR_MISSING)
        rc = error_set(err, rc, "there is no job '%s': name a file that exists", path);
    if (rc == 0)
        job->step = (enum job_step)find_step(job->step_name);
    if (rc == 0 && job->serials.first >= 0)
        rc = job_serial_text(&job->serials, job->serials.first, text, sizeof text, err);
    for (size_t i = 0; rc == 0 && i < job->port_count; i++)
        rc = check_port_rule(job, i, err);
    return rc ? rc : read_named_files(job, err);
}

static int bind_trust_anchors(const struct job *job, const struct order *order, struct error *err)
{
    uint8_t hash[32];

    if (order->has_trust_anchors && job->trust_anchors.len == 0)
        return error_set(err, ERR_INPUT,
                         "%s: the order names trust anchors: add 'trust_anchors: FILE'", job->path);
    sha256(job->trust_anchors.data, job->trust_anchors.len, hash);
    if (job->trust_anchors.len == 0 ||
        (order->has_trust_anchors && sha256_equal(hash, order->trust_anchors)))
        return 0;
    return error_set(err, ERR_REFUSED,
                     "the trust anchors in '%s' are not the ones that the order names by hash",
                     job->trust_anchors_path);
}

static bool has_vendor_root(const struct job *job, const uint8_t expected[32])
{
    uint8_t hash[32];

    for (size_t i = 0; i < job->vendor_root_count; i++) {
        sha256(job->vendor_roots[i].data, job->vendor_roots[i].len, hash);
        if (sha256_equal(hash, expected))
            return true;
    }
    return false;
}

/* The checker believes every root of the file: it holds those of the order and no other. */
static int bind_vendor_roots(const struct job *job, const struct order *order, struct error *err)
{
    bool same = job->vendor_root_count == order->vendor_root_count;

    if (!job->vendor_roots_path[0])
        return error_set(err, ERR_INPUT,
                         "%s: the order asks for attested devices: add 'vendor_roots: FILE'",
                         job->path);
    for (size_t i = 0; same && i < order->vendor_root_count; i++)
        same = has_vendor_root(job, order->vendor_roots[i]);
    if (same)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "the certificates in '%s' are not exactly the vendor roots that the order "
                     "names by hash",
                     job->vendor_roots_path);
}

/* The one place that says how devices are authenticated: none, a list, or a vendor. */
static int bind_auth(const struct job *job, const struct order *order, struct error *err)
{
    switch (order->auth) {
    case ORDER_AUTH_NONE:
        return 0;
    case ORDER_AUTH_ENROLLED:
        if (!job->enrolled)
            return error_set(err, ERR_INPUT,
                             "%s: the order asks for enrolled devices: add 'enrolled: FILE'",
                             job->path);
        if (sha256_equal(job->enrolled_hash, order->enrolled))
            return 0;
        return error_set(err, ERR_REFUSED,
                         "the list '%s' is not the one that the order names by hash",
                         job->enrolled_path);
    case ORDER_AUTH_ATTESTED:
        return bind_vendor_roots(job, order, err);
    }
    return error_set(err, ERR_INTERNAL, "an order's device_auth is unknown");
}

/* Without a lock there is no second step: such a device would never be finished. */
static int bind_step(const struct job *job, const struct order *order, struct error *err)
{
    if (job->step == JOB_STEP_ALL || order->lock)
        return 0;
    return error_set(err, ERR_INPUT, "%s: order '%s' asks for no lock: take 'step: %s' out",
                     job->path, order->id, job->step_name);
}

int job_bind(const struct job *job, const struct order *order, const struct order_share *share,
             struct error *err)
{
    int rc = job_serials_bind(&job->serials, &share->serials, job->path, order, err);

    if (rc == 0)
        rc = bind_trust_anchors(job, order, err);
    if (rc == 0)
        rc = bind_step(job, order, err);
    if (rc == 0)
        rc = job_objects_bind(job, order, err);
    return rc ? rc : bind_auth(job, order, err);
}

void job_values(const struct job *job, const struct order *order, const char *values[VALUE_COUNT])
{
    const struct job_certificate *c = &job->certificate;

    for (size_t i = 0; i < VALUE_COUNT; i++)
        values[i] = NULL;
    values[VALUE_PRODUCT] = order->product;
    values[VALUE_ORDER] = order->id;
    values[VALUE_ENVIRONMENT] = order->environment;
    values[VALUE_ORGANIZATION] = *c->organization ? c->organization : NULL;
    values[VALUE_HARDWARE_TYPE] = *c->hardware_type ? c->hardware_type : NULL;
    values[VALUE_VENDOR_ID] = *c->vendor_id ? c->vendor_id : NULL;
    values[VALUE_PRODUCT_ID] = *c->product_id ? c->product_id : NULL;
}

/* The job gives each value that is its to give, and none that has no place. */
static int check_value(const struct job *job, const struct cert_profile *profile,
                       enum pattern_value value, const char *given, struct error *err)
{
    bool named = cert_profile_uses(profile) >> value & 1;

    if (named && pattern_from(value) == FROM_CLAIM && job_serials_ahead(&job->serials))
        return error_set(
            err, ERR_REFUSED,
            "profile '%s' names {%s} (%s), which is known only when a device is in its "
            "slot: the certificates of this job are made ahead; use 'source: scanned' or "
            "'source: device' in 'serials'",
            profile->name, pattern_name(value), pattern_meaning(value));
    if (pattern_from(value) != FROM_JOB || named == (given != NULL))
        return 0;
    return error_set(err, ERR_INPUT, "%s: profile '%s' %s '%s' (%s): %s", job->path, profile->name,
                     named ? "needs" : "has no place for", pattern_name(value),
                     pattern_meaning(value),
                     named ? "add it to 'certificate'" : "take it out of 'certificate'");
}

int job_profile(const struct job *job, const struct order *order, struct cert_profile *profile,
                struct error *err)
{
    const char *path = job->certificate.profile_path, *values[VALUE_COUNT];
    uint8_t hash[32];
    int rc = profile_find(*path ? path : order->profile, profile, err);

    if (rc == ERR_MISSING && !*path)
        return error_set(
            err, ERR_MISSING,
            "%s: order '%s' fixes profile '%s', which does not come with this program: "
            "add 'profile: FILE' to 'certificate'",
            job->path, order->id, order->profile);
    if (rc == 0)
        rc = cert_profile_hash(profile, hash, NULL, err);
    if (rc)
        return rc;
    if (strcmp(profile->name, order->profile) || !sha256_equal(hash, order->profile_hash))
        return error_set(err, ERR_REFUSED,
                         "profile '%s' is not the one that order '%s' fixes by name and hash: "
                         "'imprint profile check' says the hash of each",
                         *path ? path : order->profile, order->id);
    if (profile->constraints.ca)
        return error_set(err, ERR_REFUSED,
                         "order '%s': profile '%s' is that of a CA, not of devices", order->id,
                         profile->name);
    if (cert_profile_uses(profile) >> VALUE_UDI & 1 && !*order->gtin)
        return error_set(err, ERR_REFUSED,
                         "profile '%s' names {udi} and order '%s' has no 'gtin' to make it of",
                         profile->name, order->id);
    job_values(job, order, values);
    for (size_t i = 0; rc == 0 && i < VALUE_COUNT; i++)
        rc = check_value(job, profile, (enum pattern_value)i, values[i], err);
    return rc ? rc : order_exports_profile(order, profile, values, err);
}

void job_done(struct job *job)
{
    buf_done(&job->trust_anchors);
    job_objects_done(job);
    for (size_t i = 0; i < ORDER_VENDOR_ROOTS_MAX; i++)
        buf_done(&job->vendor_roots[i]);
    job_serials_done(&job->serials);
    free(job->enrolled);
    job->enrolled = NULL;
}

bool job_is_enrolled(const struct job *job, const uint8_t spki_hash[32])
{
    return job->enrolled_count &&
           bsearch(spki_hash, job->enrolled, job->enrolled_count, 32, compare_hashes);
}
