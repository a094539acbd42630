#include "station/vault/ca/requesting.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/jcs.h"
#include "hsm/signer.h"
#include "pki/authority.h"
#include "pki/ca_request.h"
#include "pki/cert.h"
#include "pki/profile_build.h"
#include "station/store/ledger.h"
#include "station/vault/clock_stop.h"
#include "station/vault/token_files.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE 65

/* What one request works with. */
struct work {
    const struct ca_place *p;
    const struct ca_wish *wish;
    struct issuers issuers;
    unsigned number;
    int64_t now;
    struct public_key key;
    char name[NAME_SIZE];
};

/* ---- which CA ---- */

static int check_wish(const struct ca_wish *wish, struct error *err)
{
    if (wish->profile && !wish->profile->constraints.ca)
        return error_set(err, ERR_REFUSED,
                         "profile '%s' is that of devices: an issuing CA needs one of a CA",
                         wish->profile->name);
    if (wish->profile && wish->name)
        return error_set(err, ERR_USAGE,
                         "profile '%s' says the CA's name: leave out --name, and set its values",
                         wish->profile->name);
    return 0;
}

static int choose_number(struct work *w, struct error *err)
{
    const struct issuer *again = issuers_of_number(&w->issuers, w->wish->again);

    if (w->wish->again && !again)
        return error_set(err, ERR_MISSING, "there is no issuing CA %u: 'imprint ca list'",
                         w->wish->again);
    if (again && again->state != ISSUER_REQUESTED)
        return error_set(err, ERR_REFUSED,
                         "issuing CA %u is %s: only one that waits for its certificate is "
                         "requested again",
                         again->number, issuer_state_name(again->state));
    w->number = again ? again->number : issuers_next_number(&w->issuers);
    if (w->number > ISSUERS_MAX)
        return error_set(err, ERR_REFUSED,
                         "this station had %d issuing CAs, and can have no more: make a new one "
                         "('imprint init')",
                         ISSUERS_MAX);
    return 0;
}

/* A name of 64 characters: the station's is cut where it is too long. */
static void make_name(const struct config *config, const char *wanted, unsigned number,
                      char out[NAME_SIZE])
{
    char role[24] = "issuing CA";

    if (number > 1)
        snprintf(role, sizeof role, "issuing CA %u", number);
    if (wanted)
        snprintf(out, NAME_SIZE, "%s", wanted);
    else
        snprintf(out, NAME_SIZE, "%.*s %s", (int)(NAME_SIZE - 2 - strlen(role)), config->name,
                 role);
}

static int begin(struct work *w, struct error *err)
{
    const char *wanted = w->wish->name;
    int rc = check_wish(w->wish, err);

    if (rc == 0 && wanted && strlen(wanted) >= NAME_SIZE)
        rc = error_set(err, ERR_INPUT, "the name of a CA has at most %d characters", NAME_SIZE - 1);
    if (rc == 0)
        rc = store_settle(w->p->store, err);
    if (rc == 0)
        rc = clock_stop_check(w->p->store, err);
    if (rc == 0)
        rc = issuers_load(w->p->config, w->p->store, &w->issuers, err);
    if (rc == 0)
        rc = choose_number(w, err);
    make_name(w->p->config, wanted, w->number, w->name);
    return rc;
}

/* One that is there was made by a request that was killed before the ledger told of it. */
static int make_key(struct work *w, struct error *err)
{
    int rc;

    hsm_use_generation(w->p->hsm, HSM_KEY_ISSUING_CA, w->number);
    rc = hsm_key_complete(w->p->hsm, HSM_KEY_ISSUING_CA, err);
    if (rc == 0)
        rc = token_files_sync(w->p->config, err);
    return rc ? rc : hsm_key_public(w->p->hsm, HSM_KEY_ISSUING_CA, &w->key, NULL, err);
}

/* ---- the certificate, as the station would have it ---- */

static int build_of_profile(const struct work *w, X509 *issuer, X509 **out, struct error *err)
{
    uint8_t number[CERT_NUMBER_SIZE] = {0x01};
    const struct profile_input input = {number, &w->key, w->now, w->wish->values, issuer};

    if (RAND_bytes(number + 1, sizeof number - 1) != 1)
        return error_set(err, ERR_CRYPTO, "OpenSSL makes no random number");
    return profile_build(w->wish->profile, &input, out, err);
}

static int build_model(const struct work *w, X509 **out, struct error *err)
{
    const struct config *c = w->p->config;
    const struct authority_name name = {c->organization, c->environment, w->name};

    return w->wish->profile ? build_of_profile(w, NULL, out, err)
                            : authority_issuing_model(&name, w->now, &w->key, out, err);
}

/* ---- the request ---- */

static int write_request(const struct work *w, X509 *model, char path[PATH_MAX], struct error *err)
{
    struct ca_signer signer;
    char name[32];
    struct buf pem;
    int rc = hsm_ca_signer(w->p->hsm, HSM_KEY_ISSUING_CA, &signer, err);

    if (rc)
        return rc;
    buf_init(&pem, CA_CHAIN_FILE_MAX);
    rc = ca_request_write(model, &signer, &pem, err);
    snprintf(name, sizeof name, "ca/request-%u.pem", w->number);
    if (rc == 0)
        rc = config_path(w->p->config, name, path, err);
    if (rc == 0)
        rc = file_write(path, pem.data, pem.len, 0644, err);
    buf_done(&pem);
    return rc;
}

static void hash_key(const struct work *w, uint8_t hash[SHA256_SIZE])
{
    sha256(w->key.spki, w->key.len, hash);
}

static int journal(const struct work *w, struct error *err)
{
    uint8_t hash[SHA256_SIZE];
    struct buf data;
    struct jcs j;
    int rc;

    hash_key(w, hash);
    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "number", w->number);
    if (w->wish->profile)
        jcs_str(&j, "profile", w->wish->profile->name);
    jcs_hex(&j, "sha256", hash, sizeof hash);
    jcs_end(&j);
    rc = ledger_append_alone(w->p->store, "ca_requested", &data, err);
    buf_done(&data);
    return rc;
}

static int request(struct work *w, struct requested *out, struct error *err)
{
    X509 *model = NULL;
    int rc = begin(w, err);

    if (rc == 0)
        rc = make_key(w, err);
    if (rc == 0)
        rc = build_model(w, &model, err);
    if (rc == 0)
        rc = write_request(w, model, out->path, err);
    if (rc == 0)
        rc = journal(w, err);
    out->number = w->number;
    hash_key(w, out->sha256);
    X509_free(model);
    return rc;
}

int requesting_run(const struct ca_place *p, const struct ca_wish *wish, struct requested *out,
                   struct error *err)
{
    struct work w = {.p = p, .wish = wish, .now = clock_utc()};
    int rc;

    *out = (struct requested){.number = 0};
    rc = request(&w, out, err);
    issuers_done(&w.issuers);
    return rc;
}

int requesting_first(const struct config *config, struct hsm *hsm, struct error *err)
{
    const struct ca_place place = {.config = config, .hsm = hsm};
    const struct ca_wish wish = {.name = NULL};
    struct work w = {.p = &place, .wish = &wish, .number = 1, .now = clock_utc()};
    char path[PATH_MAX];
    X509 *model = NULL;
    int rc = hsm_key_public(hsm, HSM_KEY_ISSUING_CA, &w.key, NULL, err);

    make_name(config, NULL, 1, w.name);
    if (rc == 0)
        rc = build_model(&w, &model, err);
    if (rc == 0)
        rc = write_request(&w, model, path, err);
    X509_free(model);
    return rc;
}

/* ---- a certificate that is made here ---- */

static int check_root(const struct issuers *issuers, struct error *err)
{
    if (issuers->company_root)
        return error_set(err, ERR_REFUSED,
                         "this station has no root of its own: 'imprint ca request', and let the "
                         "company's CA certify it");
    if (issuers->root_destroyed)
        return error_set(err, ERR_REFUSED,
                         "the key of this station's root was destroyed: 'imprint ca request', and "
                         "let another CA certify it");
    return 0;
}

static int sign_below(const struct work *w, X509 *root, const struct ca_signer *signer, X509 **out,
                      struct error *err)
{
    const struct config *c = w->p->config;
    const struct authority_name name = {c->organization, c->environment, w->name};
    int rc;

    if (!w->wish->profile)
        return authority_issuing_by(&name, w->now, &w->key, root, signer, out, err);
    rc = cert_profile_allows(w->wish->profile, w->key.type, signer->scheme, err);
    if (rc == 0)
        rc = build_of_profile(w, root, out, err);
    return rc ? rc : ca_sign_cert(signer, out, err);
}

static int certify_below(const struct work *w, struct ca_chain *chain, struct error *err)
{
    char path[PATH_MAX];
    struct ca_signer signer;
    X509 *root = NULL;
    int rc = check_root(&w->issuers, err);

    if (rc == 0)
        rc = config_path(w->p->config, "ca/device-root.pem", path, err);
    if (rc == 0)
        rc = cert_read(path, &root, err);
    if (rc == 0)
        rc = hsm_ca_signer(w->p->hsm, HSM_KEY_ROOT, &signer, err);
    if (rc) {
        X509_free(root);
        return rc;
    }
    rc = sign_below(w, root, &signer, &chain->certs[0], err);
    chain->certs[1] = root;
    chain->count = 2;
    return rc;
}

static int certify_itself(const struct work *w, struct ca_chain *chain, struct error *err)
{
    const struct config *c = w->p->config;
    const struct authority_name name = {c->organization, c->environment, w->name};
    struct ca_signer signer;
    int rc = hsm_ca_signer(w->p->hsm, HSM_KEY_ISSUING_CA, &signer, err);

    if (rc)
        return rc;
    if (w->wish->profile)
        rc = error_set(err, ERR_REFUSED, "profile '%s' is of a CA below another one",
                       w->wish->profile->name);
    else
        rc = authority_self_signed(&name, w->now, &signer, &chain->certs[0], err);
    chain->count = 1;
    return rc;
}

static int create(struct work *w, bool self_signed, struct certified *out, struct error *err)
{
    const struct ca_chain_expect expect = {w->wish->profile ? NULL : w->p->config->environment,
                                           w->now};
    struct ca_chain chain = {.count = 0};
    int rc = begin(w, err);

    if (rc == 0 && !self_signed)
        rc = check_root(&w->issuers, err); /* before a key is made */
    if (rc == 0)
        rc = make_key(w, err);
    if (rc == 0)
        rc = self_signed ? certify_itself(w, &chain, err) : certify_below(w, &chain, err);
    if (rc == 0)
        rc = ca_chain_judge(&chain, &expect, err);
    if (rc == 0)
        rc = certified_check(w->p, &w->issuers, w->number, &chain, err);
    if (rc == 0)
        rc = certified_take(w->p, w->number, &chain, self_signed ? "self" : "root", out, err);
    ca_chain_done(&chain);
    return rc;
}

int requesting_create(const struct ca_place *p, const struct ca_wish *wish, bool self_signed,
                      struct certified *out, struct error *err)
{
    struct work w = {.p = p, .wish = wish, .now = clock_utc()};
    int rc = create(&w, self_signed, out, err);

    issuers_done(&w.issuers);
    return rc;
}
