#include "station/vault/pin.h"

#include "hsm/token.h"

#include <stdio.h>

static int read_file(const struct config *config, const char *name, struct secret **pin,
                     struct error *err)
{
    char path[PATH_MAX];
    int rc = config_path(config, name, path, err);

    return rc ? rc : secret_read_pin_file(path, pin, err);
}

/* Every way but a person. ERR_MISSING when none is configured. */
static int find_pin(const struct config *config, struct secret **pin, struct error *err)
{
    char source[PATH_MAX];
    int rc = hsm_pin_source(config->token, source, sizeof source, err);

    if (rc)
        return rc;
    if (config->ask_pin)
        return ERR_MISSING;
    rc = secret_read_credential(config->of_ca ? PIN_CA_CREDENTIAL : PIN_CREDENTIAL, pin, err);
    if (rc != ERR_MISSING)
        return rc;
    if (config->pin_file[0])
        return read_file(config, config->pin_file, pin, err);
    if (source[0])
        return read_file(config, source, pin, err);
    return ERR_MISSING;
}

/* When there is nobody to ask, the ways without a person are what helps. */
static int asked(const struct config *config, int rc, struct error *err)
{
    if (rc != ERR_MISSING)
        return rc;
    return error_set(err, ERR_PIN,
                     "no PIN, and no terminal to ask at: set %s in station.yaml or pin-source in "
                     "its token URI, or give the service a credential '%s'",
                     config->of_ca ? "ca_pin_file" : "pin_file",
                     config->of_ca ? PIN_CA_CREDENTIAL : PIN_CREDENTIAL);
}

int pin_read(const struct config *config, struct secret **pin, bool *typed, struct error *err)
{
    char question[320];
    int rc = find_pin(config, pin, err);

    *typed = rc == ERR_MISSING;
    if (rc != ERR_MISSING)
        return rc;
    snprintf(question, sizeof question, "PIN of token '%s': ", config->token);
    return asked(config, secret_prompt_pin(question, pin, err), err);
}

static int ask_one(const char *whose, const char *more, struct secret **pin, struct error *err)
{
    char question[128];

    snprintf(question, sizeof question, "%s%s: ", whose, more);
    return secret_prompt_pin(question, pin, err);
}

int pin_ask_new(const char *whose, struct secret **pin, struct error *err)
{
    struct secret *first = NULL, *again = NULL;
    int rc = ask_one(whose, "", &first, err);

    if (rc == 0)
        rc = ask_one(whose, ", again", &again, err);
    if (rc == 0 && !secret_equal(first, again))
        rc = error_set(err, ERR_PIN, "%s: the two answers differ, so nothing was made", whose);
    secret_free(again);
    if (rc == 0)
        *pin = first;
    else
        secret_free(first);
    return rc;
}

int pin_for_new(const struct config *config, const char *whose, struct secret **pin,
                struct error *err)
{
    int rc = find_pin(config, pin, err);

    return rc == ERR_MISSING ? asked(config, pin_ask_new(whose, pin, err), err) : rc;
}
