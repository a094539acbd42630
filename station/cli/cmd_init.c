/* imprint init: creates a station. */
#include "base/secret.h"
#include "station/cli/cli.h"
#include "station/vault/ceremony.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const softhsm_places[] = {"/usr/lib/softhsm/libsofthsm2.so",
                                             "/usr/lib64/pkcs11/libsofthsm2.so",
                                             "/usr/local/lib/softhsm/libsofthsm2.so"};

static int required(const struct cli *cli, const char *option, char *out, size_t size,
                    struct error *err)
{
    const char *value = cli_value(cli, option);

    if (!value || !*value)
        return error_set(err, ERR_USAGE, "'imprint init' needs --%s; see 'imprint help init'",
                         option);
    if (strlen(value) >= size)
        return error_set(err, ERR_USAGE, "--%s takes at most %zu characters", option, size - 1);
    for (const char *p = value; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            return error_set(err, ERR_USAGE, "--%s takes printable ASCII only", option);
    strcpy(out, value);
    return 0;
}

static int choose_module(const struct cli *cli, struct ceremony *c, struct error *err)
{
    const char *module = cli_value(cli, "module"), *token = cli_value(cli, "token");

    c->own_token = module == NULL;
    for (size_t i = 0; !module && i < sizeof softhsm_places / sizeof *softhsm_places; i++)
        if (access(softhsm_places[i], R_OK) == 0)
            module = softhsm_places[i];
    if (!module)
        return error_set(err, ERR_MODULE,
                         "SoftHSM is not installed: install softhsm2, or name a module with "
                         "--module");
    snprintf(c->config.module, sizeof c->config.module, "%s", module);
    if (cli_value(cli, "module-arguments") &&
        required(cli, "module-arguments", c->config.module_arguments,
                 sizeof c->config.module_arguments, err))
        return ERR_USAGE;
    /* A token's label holds 32 bytes. */
    snprintf(c->config.token, sizeof c->config.token, "%.*s", c->own_token ? 32 : 256,
             token ? token : c->config.name);
    return 0;
}

static int read_pins(const struct cli *cli, struct ceremony *c, struct error *err)
{
    const char *pin_file = cli_value(cli, "pin-file"), *so_file = cli_value(cli, "so-pin-file");
    char cwd[PATH_MAX] = "";
    int rc;

    if (!pin_file) {
        rc = secret_prompt_pin("PIN of the new token: ", &c->pin, err);
    } else {
        rc = secret_read_pin_file(pin_file, &c->pin, err);
        if (pin_file[0] != '/' && !getcwd(cwd, sizeof cwd))
            cwd[0] = 0;
        snprintf(c->config.pin_file, sizeof c->config.pin_file, "%s%s%s", cwd, *cwd ? "/" : "",
                 pin_file);
    }
    if (rc || !c->own_token)
        return rc;
    if (so_file)
        return secret_read_pin_file(so_file, &c->so_pin, err);
    return secret_prompt_pin("Security officer's PIN of the new token: ", &c->so_pin, err);
}

static int collect(const struct cli *cli, struct ceremony *c, struct error *err)
{
    struct config *config = &c->config;
    int rc;

    strcpy(config->dir, cli->dir);
    if (required(cli, "name", config->name, sizeof config->name, err) ||
        required(cli, "environment", config->environment, sizeof config->environment, err) ||
        required(cli, "origin", config->origin, sizeof config->origin, err) ||
        required(cli, "customer", config->customer, sizeof config->customer, err) ||
        required(cli, "organization", config->organization, sizeof config->organization, err))
        return ERR_USAGE;
    c->order_signers = cli_value(cli, "order-signers");
    if (!c->order_signers)
        return error_set(err, ERR_USAGE,
                         "'imprint init' needs --order-signers; see 'imprint help init'");
    rc = choose_module(cli, c, err);
    return rc ? rc : read_pins(cli, c, err);
}

static void report(const struct cli *cli)
{
    if (cli->json) {
        cli_print_json(json_pack("{s:s, s:s}", "event", "created", "path", cli->dir));
        return;
    }
    printf("created station '%s' in %s\n"
           "next: let the owner's authority certify station-auth.pub and put the answer there as\n"
           "station.cert; give the folder trust/ to the security team, who pin what is in it\n",
           cli_value(cli, "name"), cli->dir);
}

int cmd_init(struct cli *cli, struct error *err)
{
    struct ceremony c = {.own_token = false};
    int rc = collect(cli, &c, err);

    if (rc == 0)
        rc = ceremony_run(&c, err);
    secret_free(c.pin);
    secret_free(c.so_pin);
    if (rc == 0)
        report(cli);
    return rc;
}
