/* imprint rotate: a new manifest key, log key, or key of second signatures. */
#include "base/codec.h"
#include "station/cli/cli.h"
#include "station/vault/rotating.h"
#include "station/vault/sealing.h"
#include "station/vault/second_key.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static int read_key(const struct cli *cli, enum rotation_key *key, struct error *err)
{
    for (int k = ROTATION_LOG; k < ROTATION_KEYS; k++)
        if (strcmp(cli->args[0], rotation_key_name((enum rotation_key)k)) == 0) {
            *key = (enum rotation_key)k;
            return 0;
        }
    return error_set(err, ERR_USAGE,
                     "'%s' cannot be rotated: 'manifest-key', 'log-key' and 'second-key' can",
                     cli->args[0]);
}

static int read_announced(const struct cli *cli, enum rotation_key *key, struct error *err)
{
    int rc = read_key(cli, key, err);

    if (rc == 0 && cli_value(cli, "algorithm"))
        rc = error_set(err, ERR_USAGE, "--algorithm is for 'second-key'");
    return rc;
}

static void report(const struct cli *cli, const struct rotated *r, const struct sealed *sealed)
{
    char hash[2 * SHA256_SIZE + 1];

    hex_encode(r->sha256, sizeof r->sha256, hash);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:I, s:I, s:s, s:I, s:s}", "event", "rotated", "key",
                                 rotation_key_name(r->key), "generation", (json_int_t)r->generation,
                                 "leaf", (json_int_t)r->leaf, "sha256", hash, "manifest",
                                 (json_int_t)sealed->seq, "path", r->pin));
    else
        printf("the %s is now number %u (SHA-256 %s): %s\nmanifest %" PRId64
               " announces it and is the last one of the old key: %s\n",
               rotation_key_name(r->key), r->generation, hash, r->pin, sealed->seq, sealed->dir);
}

static void report_second(const struct cli *cli, const struct second_key *key)
{
    const char *algorithm = cms_algorithm_name(key->algorithm);
    char hash[2 * SHA256_SIZE + 1];

    hex_encode(key->sha256, sizeof key->sha256, hash);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s, s:s, s:I, s:s, s:s}", "event", "rotated", "key",
                                 "second-key", "algorithm", algorithm, "generation",
                                 (json_int_t)key->generation, "sha256", hash, "path", key->root));
    else
        printf("the second-key is now number %u (SHA-256 %s)\nevery manifest from now on has a "
               "signature of %s: importers need '--require-alg %s=FILE' with %s\n",
               key->generation, hash, algorithm, algorithm, key->root);
}

/* No importer follows it by a record, so nothing is sealed. */
static int rotate_second(struct cli *cli, struct error *err)
{
    const char *by = cli_who(cli), *reason = cli_value(cli, "reason");
    struct second_key key;
    int rc;

    if (!by || !*by || !reason || !*reason)
        return error_set(err, ERR_USAGE, "a rotation needs who and why: both stand in the ledger");
    rc = second_key_rotate(&cli->config, cli->store, cli->hsm, cli_value(cli, "algorithm"), &key,
                           err);
    if (rc == 0)
        report_second(cli, &key);
    return rc;
}

static int rotate_announced(struct cli *cli, enum rotation_key key, struct error *err)
{
    struct rotated rotated;
    struct sealed sealed;
    int rc = rotating_run(&cli->config, cli->store, cli->hsm, key, cli_who(cli),
                          cli_value(cli, "reason"), &rotated, err);

    if (rc)
        return rc;
    rc = sealing_run(&cli->config, cli->store, cli->hsm, NULL, &sealed, err);
    if (rc)
        return error_prefix(err,
                            "the %s is rotated and the manifest that says so is not sealed: "
                            "run 'imprint seal'",
                            rotation_key_name(key));
    report(cli, &rotated, &sealed);
    return cli_keep_revocations(cli, err);
}

/* Whoever may rotate signs for it, whichever key it is. */
int cmd_rotate(struct cli *cli, struct error *err)
{
    bool second = strcmp(cli->args[0], "second-key") == 0;
    enum rotation_key key = ROTATION_LOG;
    int rc = second ? 0 : read_announced(cli, &key, err);

    if (rc == 0)
        rc = cli_sign(cli, SIGNING_ROTATE, err);
    if (rc)
        return rc;
    return second ? rotate_second(cli, err) : rotate_announced(cli, key, err);
}
