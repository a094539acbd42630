/* imprint rotate: a new manifest key or log key. */
#include "base/codec.h"
#include "station/cli/cli.h"
#include "station/vault/rotating.h"
#include "station/vault/sealing.h"

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
    return error_set(err, ERR_USAGE, "'%s' cannot be rotated: 'manifest-key' and 'log-key' can",
                     cli->args[0]);
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

int cmd_rotate(struct cli *cli, struct error *err)
{
    enum rotation_key key = ROTATION_LOG;
    struct rotated rotated;
    struct sealed sealed;
    int rc = read_key(cli, &key, err);

    if (rc == 0)
        rc = cli_sign(cli, SIGNING_ROTATE, err);
    if (rc == 0)
        rc = rotating_run(&cli->config, cli->store, cli->hsm, key, cli_who(cli),
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
