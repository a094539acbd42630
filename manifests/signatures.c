#include "manifests/signatures.h"

#include "manifests/folder.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define SIGNATURE_MAX (1 << 20)
#define PREFIX        MANIFEST_NAME "."
#define SUFFIX        ".p7s"

int signatures_require(struct signatures_policy *p, const char *text, struct error *err)
{
    size_t len = strcspn(text, "=");
    enum cms_algorithm a = cms_algorithm_find(text, len);

    if (a == CMS_ALGORITHMS)
        return error_set(err, ERR_USAGE,
                         "'%.64s' is no algorithm that can be required: ecdsa-p256, ecdsa-p384 and "
                         "rsa-pss-3072 are",
                         text);
    if (p->of[a].required)
        return error_set(err, ERR_USAGE, "'%s' is required twice: name it once",
                         cms_algorithm_name(a));
    p->of[a].required = true;
    return text[len] ? cms_read_certificate(text + len + 1, &p->of[a].root, err) : 0;
}

void signatures_policy_done(struct signatures_policy *p)
{
    for (enum cms_algorithm a = 0; a < CMS_ALGORITHMS; a++)
        X509_free(p->of[a].root);
    *p = (struct signatures_policy){0};
}

/* The algorithm in a name like manifest.json.<algorithm>.p7s; NULL when it is none. */
static const char *algorithm_in(const char *name, size_t *len)
{
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    const char *tail = name + strlen(PREFIX);

    if (strncmp(name, PREFIX, strlen(PREFIX)))
        return NULL;
    *len = strspn(tail, lower);
    return *len > 0 && strcmp(tail + *len, SUFFIX) == 0 ? tail : NULL;
}

bool signatures_is_name(const char *name)
{
    size_t len;

    return strcmp(name, MANIFEST_SIGNATURE) == 0 || algorithm_in(name, &len) != NULL;
}

bool signatures_is_root(STACK_OF(X509) * device_roots, X509 *root)
{
    for (int i = 0; i < sk_X509_num(device_roots); i++)
        if (EVP_PKEY_eq(X509_get0_pubkey(root), X509_get0_pubkey(sk_X509_value(device_roots, i))) ==
            1)
            return true;
    return false;
}

static int verify_file(const char *dir, enum cms_algorithm a, const struct signatures_pins *pins,
                       const struct buf *manifest, struct signatures *found, struct error *err)
{
    bool own = pins->policy && pins->policy->of[a].root;
    X509 *root = own ? pins->policy->of[a].root : pins->root;
    char name[STATEMENT_NAME_MAX + 1];
    struct buf pem;
    int rc;

    snprintf(name, sizeof name, PREFIX "%s" SUFFIX, cms_algorithm_name(a));
    if (signatures_is_root(pins->device_roots, root))
        return error_set(err, ERR_INPUT,
                         "the root of '%s' has the key of the device root: below it any device "
                         "could sign a manifest",
                         name);
    buf_init(&pem, SIGNATURE_MAX);
    rc = folder_read(dir, name, &pem, err);
    if (rc == 0 && (rc = cms_verify_as(a, &pem, manifest, root, pins->at, &found->of[a].who, err)))
        error_prefix(err, "'%s'%s%s%s", name,
                     own ? "" : " (if the factory gave you a root for it: --require-alg ",
                     own ? "" : cms_algorithm_name(a), own ? "" : "=FILE)");
    found->of[a].verified = rc == 0;
    buf_done(&pem);
    return rc;
}

static int check_keys(const struct signatures *found, const struct cms_signer *first,
                      struct error *err)
{
    for (enum cms_algorithm a = 0; a < CMS_ALGORITHMS; a++)
        if (found->of[a].verified && sha256_equal(found->of[a].who.key, first->key))
            return error_set(err, ERR_SIGNATURE,
                             "'" PREFIX "%s" SUFFIX "' is signed with the key of '%s', and so "
                             "proves nothing more: ask the factory",
                             cms_algorithm_name(a), MANIFEST_SIGNATURE);
    return 0;
}

/* name is that of a file which may be none of ours. */
static int take_name(const char *name, bool present[CMS_ALGORITHMS], struct signatures *found,
                     struct error *err)
{
    size_t len;
    const char *algorithm = algorithm_in(name, &len);
    enum cms_algorithm a = algorithm ? cms_algorithm_find(algorithm, len) : CMS_ALGORITHMS;

    if (!algorithm)
        return 0;
    if (a < CMS_ALGORITHMS) {
        present[a] = true;
        return 0;
    }
    if (found->unknown_count == SIGNATURES_UNKNOWN_MAX || strlen(name) > STATEMENT_NAME_MAX)
        return error_set(err, ERR_FORMAT,
                         "'%.80s': more signatures of unknown algorithms than %d, or one with a "
                         "longer name than %d characters",
                         name, SIGNATURES_UNKNOWN_MAX, STATEMENT_NAME_MAX);
    strcpy(found->unknown[found->unknown_count++], name);
    return 0;
}

static int list(const char *dir, bool present[CMS_ALGORITHMS], struct signatures *found,
                struct error *err)
{
    DIR *d = opendir(dir);
    struct dirent *entry = NULL;
    int rc = d ? 0 : error_set_errno(err, errno, "cannot list '%s'", dir);

    while (rc == 0 && (errno = 0, entry = readdir(d)))
        rc = take_name(entry->d_name, present, found, err);
    if (rc == 0 && errno)
        rc = error_set_errno(err, errno, "cannot list '%s'", dir);
    if (d)
        closedir(d);
    return rc;
}

int signatures_verify(const char *dir, const struct signatures_pins *pins,
                      const struct buf *manifest, struct signatures *found, struct error *err)
{
    bool present[CMS_ALGORITHMS] = {false};
    int rc;

    *found = (struct signatures){.unknown_count = 0};
    rc = list(dir, present, found, err);
    for (enum cms_algorithm a = 0; rc == 0 && a < CMS_ALGORITHMS; a++) {
        if (present[a])
            rc = verify_file(dir, a, pins, manifest, found, err);
        else if (pins->policy && pins->policy->of[a].required)
            rc = error_set(err, ERR_INCOMPLETE,
                           "the policy requires a signature of %s, and '%s/" PREFIX "%s" SUFFIX
                           "' is missing: get the whole folder again, or ask the factory",
                           cms_algorithm_name(a), dir, cms_algorithm_name(a));
    }
    return rc ? rc : check_keys(found, pins->first, err);
}
