/* imprint init: creates a station. */
#include "base/file.h"
#include "base/secret.h"
#include "station/cli/answers.h"
#include "station/vault/ceremony.h"
#include "station/vault/pin.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const softhsm_places[] = {"/usr/lib/softhsm/libsofthsm2.so",
                                             "/usr/lib64/pkcs11/libsofthsm2.so",
                                             "/usr/local/lib/softhsm/libsofthsm2.so"};

/* The station is used from other folders than this one. */
static int keep_path(const char *path, char out[PATH_MAX], struct error *err)
{
    char cwd[PATH_MAX];

    if (!*path || path[0] == '/') {
        strcpy(out, path);
        return 0;
    }
    if (!getcwd(cwd, sizeof cwd))
        return error_set(err, ERR_IO, "the current folder has no name");
    return file_join(out, PATH_MAX, cwd, path, err);
}

static int choose_module(const struct answers *a, struct ceremony *c, struct error *err)
{
    const char *module = *a->module ? a->module : NULL;

    c->own_token = module == NULL;
    for (size_t i = 0; !module && i < sizeof softhsm_places / sizeof *softhsm_places; i++)
        if (access(softhsm_places[i], R_OK) == 0)
            module = softhsm_places[i];
    if (!module)
        return error_set(err, ERR_MODULE,
                         "SoftHSM is not installed: install softhsm2, or name a module with "
                         "--module");
    strcpy(c->config.module_arguments, a->module_arguments);
    /* A token's label holds 32 bytes. */
    snprintf(c->config.token, sizeof c->config.token, "%.*s", c->own_token ? 32 : 256,
             *a->token ? a->token : a->name);
    if (strchr(module, '/'))
        return keep_path(module, c->config.module, err);
    strcpy(c->config.module, module); /* found by the system's search path */
    return 0;
}

/* A token that is made here gets a PIN; one that exists has it, and both may have it in a file. */
static int read_pins(const struct answers *a, struct ceremony *c, struct error *err)
{
    int rc = keep_path(a->pin_file, c->config.pin_file, err);

    if (rc == 0 && c->own_token)
        rc = pin_for_new(&c->config, "PIN of the new token", &c->pin, err);
    else if (rc == 0)
        rc = pin_read(&c->config, &c->pin, &c->pin_typed, err);
    if (rc || !c->own_token)
        return rc;
    if (*a->so_pin_file)
        return secret_read_pin_file(a->so_pin_file, &c->so_pin, err);
    rc = pin_ask_new("security officer's PIN of the new token", &c->so_pin, err);
    if (rc == ERR_MISSING)
        rc = error_set(err, ERR_PIN,
                       "no security officer's PIN, and no terminal to ask at: name its file with "
                       "--so-pin-file");
    return rc;
}

/* A token of its own for the CA's keys: it exists already, and makes nothing but signatures. */
static int choose_ca_token(const struct answers *a, struct ceremony *c, struct error *err)
{
    struct config *config = &c->config, of_ca;
    int rc;

    if (!*a->ca_module && !*a->ca_token && !*a->ca_pin_file && !*a->ca_module_arguments)
        return 0;
    if (!*a->ca_module || !*a->ca_token)
        return error_set(err, ERR_USAGE,
                         "a token for the CA's keys needs both --ca-module and --ca-token");
    strcpy(config->ca_token, a->ca_token);
    strcpy(config->ca_module_arguments, a->ca_module_arguments);
    strcpy(config->ca_module, a->ca_module); /* or found by the system's search path */
    rc = strchr(a->ca_module, '/') ? keep_path(a->ca_module, config->ca_module, err) : 0;
    if (rc == 0)
        rc = keep_path(a->ca_pin_file, config->ca_pin_file, err);
    if (rc)
        return rc;
    config_of_ca(config, &of_ca);
    rc = pin_read(&of_ca, &c->ca_pin, &c->ca_pin_typed, err);
    return rc ? error_prefix(err, "the CA's token '%s'", config->ca_token) : 0;
}

/* "0x01800100", or the same without 0x. */
static int read_counter(const struct answers *a, struct ceremony *c, struct error *err)
{
    int rc = *a->counter ? cli_nv_index(a->counter, &c->counter, err) : 0;

    if (rc == 0 && *a->tpm && !*a->counter)
        rc = error_set(err, ERR_USAGE, "--tpm is for a counter: name its NV index with --counter");
    if (rc == 0 && c->counter)
        strcpy(c->config.tpm, *a->tpm ? a->tpm : CEREMONY_TPM);
    return rc;
}

static int choose_ca_algorithm(const struct answers *a, struct ceremony *c, struct error *err)
{
    if (!*a->ca_algorithm || ca_algorithm_named(a->ca_algorithm, &c->ca))
        return 0;
    return error_set(err, ERR_INPUT, "'%s' is no algorithm of a CA: %s", a->ca_algorithm,
                     CA_ALGORITHM_NAMES);
}

static int prepare(const struct cli *cli, const struct answers *a, struct ceremony *c,
                   struct error *err)
{
    struct config *config = &c->config;
    int rc;

    strcpy(config->dir, cli->dir);
    if (store_check_actor(cli_value(cli, "by"), NULL, err))
        return ERR_USAGE;
    strcpy(config->name, a->name);
    strcpy(config->environment, a->environment);
    strcpy(config->origin, a->origin);
    strcpy(config->customer, a->customer);
    strcpy(config->organization, a->organization);
    config->ask_pin = cli->ask_pin;
    if (cli_value(cli, "by"))
        strcpy(c->operator, cli_value(cli, "by"));
    c->company_root = strcmp(a->root, "company") == 0;
    if (*a->root && !c->company_root && strcmp(a->root, "own"))
        return error_set(err, ERR_USAGE, "the root is 'own' or 'company', not '%s'", a->root);
    c->order_signers = a->order_signers;
    c->custodians = *a->custodians ? a->custodians : NULL;
    rc = read_counter(a, c, err);
    if (rc == 0)
        rc = choose_ca_algorithm(a, c, err);
    if (rc == 0)
        rc = ceremony_check_place(config, err);
    if (rc == 0)
        rc = choose_module(a, c, err);
    if (rc == 0)
        rc = read_pins(a, c, err);
    return rc ? rc : choose_ca_token(a, c, err);
}

static void report(const struct cli *cli, const struct answers *a)
{
    if (cli->json) {
        cli_print_json(json_pack("{s:s, s:s}", "event", "created", "path", cli->dir));
        return;
    }
    printf("created station '%s' in %s\n"
           "next: let the owner's authority certify station-auth.pub and put the answer there as\n"
           "station.cert; give station.json and the folder trust/ to the security team, who write\n"
           "orders for the one and pin what is in the other\n",
           a->name, cli->dir);
    if (strcmp(a->root, "company") == 0)
        printf(
            "let the company's CA certify ca/request-1.pem, then 'imprint ca import FILE'; until "
            "then\nnothing can be issued\n");
    if (*a->custodians)
        printf("each custodian now signs ceremony.json and puts the signature into ceremony/\n");
}

int cmd_init(struct cli *cli, struct error *err)
{
    struct ceremony c = {.own_token = false};
    struct answers answers;
    int rc = answers_collect(cli, &answers, err);

    if (rc == 0)
        rc = prepare(cli, &answers, &c, err);
    if (rc == 0)
        rc = ceremony_run(&c, err);
    secret_free(c.pin);
    secret_free(c.so_pin);
    secret_free(c.ca_pin);
    if (rc == 0)
        report(cli, &answers);
    return rc;
}
