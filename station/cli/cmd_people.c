/* imprint people: who signs at this station. */
#include "base/clock.h"
#include "station/cli/cli.h"
#include "station/vault/pin.h"
#include "station/vault/roster.h"
#include "station/vault/signing.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* ---- list ---- */

static int list_one(const struct cli *cli, const struct person *p, struct error *err)
{
    char until[CLOCK_TEXT_SIZE] = "";
    struct person_tries tries;
    int rc = person_tries(cli->store, p->id, &tries, err);
    const char *state = p->state == PERSON_ACTIVE ? "active" : "removed";

    if (rc)
        return rc;
    if (clock_utc() < signing_locked_until(&tries))
        clock_text(signing_locked_until(&tries), until);
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:I, s:s, s:s, s:s, s:I, s:s*}", "event", "person",
                                 "person", (json_int_t)p->id, "name", p->name, "role",
                                 person_role_name(p->role), "state", state, "wrong",
                                 (json_int_t)tries.wrong, "locked_until", *until ? until : NULL));
    else
        printf("%-3" PRId64 " %-10s %-8s %s%s%s\n", p->id, person_role_name(p->role), state,
               p->name, *until ? ", locked until " : "", until);
    return 0;
}

static int list(struct cli *cli, struct error *err)
{
    struct people people = {NULL, 0};
    int rc = vault_open_store(&cli->config, STORE_READ, &cli->store, err);

    if (rc == 0)
        rc = people_read(cli->store, &people, err);
    for (size_t i = 0; rc == 0 && i < people.count; i++)
        rc = list_one(cli, &people.of[i], err);
    if (rc == 0 && !cli->json && people.count == 0)
        printf("nobody: at this station nothing is signed with badge and PIN\n");
    if (rc == 0 && !cli->json && people_count(&people, PERSON_SUPERVISOR) == 1)
        printf("there is one supervisor only: add another before this one is ill\n");
    people_done(&people);
    return rc;
}

/* ---- what changes something ---- */

static int open_people(struct cli *cli, struct people *people, struct error *err)
{
    int rc = vault_open_store(&cli->config, STORE_WRITE, &cli->store, err);

    if (rc == 0)
        rc = cli_open_hsm(cli, err);
    return rc ? rc : people_load(cli->store, people, err);
}

static int no_terminal(int rc, struct error *err)
{
    return rc != ERR_MISSING
               ? rc
               : error_set(err, ERR_PIN,
                           "no terminal to ask for the new badge and PIN at: name a file of mode "
                           "0600 that holds them with --new");
}

/* The badge, where it is wanted, and the PIN that somebody is to have. */
static int ask_new(const struct cli *cli, struct secret **badge, struct secret **pin,
                   struct error *err)
{
    const char *file = cli_value(cli, "new");
    int rc = 0;

    if (file)
        return secret_read_badge_file(file, badge, pin, err);
    if (strcmp(cli->args[0], "add") == 0)
        rc = secret_prompt_pin("new badge: ", badge, err);
    if (rc == 0)
        rc = pin_ask_new("new PIN", pin, err);
    return no_terminal(rc, err);
}

static int report(const struct cli *cli, const char *event, const char *name, const char *words)
{
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:s}", "event", event, "name", name));
    else
        printf("'%s' %s\n", name, words);
    return 0;
}

static int add_signed(struct cli *cli, const struct people *people, enum person_role role,
                      struct error *err)
{
    struct secret *badge = NULL, *pin = NULL;
    int rc = cli_sign_as(cli, people, SIGNING_PEOPLE, err);

    if (rc == 0)
        rc = ask_new(cli, &badge, &pin, err);
    if (rc == 0)
        rc = roster_add(cli->store, people, cli->args[1], role, badge, pin, err);
    secret_free(badge);
    secret_free(pin);
    return rc ? rc : report(cli, "person_added", cli->args[1], "signs here from now on");
}

static int add(struct cli *cli, struct error *err)
{
    const char *named = cli_value(cli, "role");
    enum person_role role = named ? person_role_of(named) : 0;
    struct people people = {NULL, 0};
    int rc;

    if (!role)
        return error_set(err, ERR_USAGE,
                         "'imprint people add' needs --role: operator, supervisor or engineer");
    rc = open_people(cli, &people, err);
    if (rc == 0)
        rc = add_signed(cli, &people, role, err);
    people_done(&people);
    return rc;
}

static int remove_person(struct cli *cli, struct error *err)
{
    struct people people = {NULL, 0};
    int rc = open_people(cli, &people, err);

    if (rc == 0)
        rc = cli_sign_as(cli, &people, SIGNING_PEOPLE, err);
    if (rc == 0)
        rc = roster_remove(cli->store, &people, cli->args[1], err);
    people_done(&people);
    return rc ? rc : report(cli, "person_removed", cli->args[1], "does not sign here any more");
}

/* One's own, or that of somebody who forgot it. */
static int set_pin_signed(struct cli *cli, const struct people *people, struct error *err)
{
    bool own = cli->arg_count == 1;
    struct secret *badge = NULL, *pin = NULL;
    const char *name;
    int rc = cli_sign_as(cli, people, own ? SIGNING_PIN : SIGNING_PEOPLE, err);

    if (rc)
        return rc;
    name = own ? cli->signature.name : cli->args[1];
    rc = ask_new(cli, &badge, &pin, err);
    if (rc == 0)
        rc = roster_set_pin(cli->store, people, name, pin, err);
    secret_free(badge);
    secret_free(pin);
    return rc ? rc : report(cli, "person_pin", name, "has a new PIN");
}

static int set_pin(struct cli *cli, struct error *err)
{
    struct people people = {NULL, 0};
    int rc = open_people(cli, &people, err);

    if (rc == 0 && people.count == 0)
        rc = error_set(err, ERR_MISSING, "nobody signs here yet: 'imprint people add' adds people");
    if (rc == 0)
        rc = set_pin_signed(cli, &people, err);
    people_done(&people);
    return rc;
}

int cmd_people(struct cli *cli, struct error *err)
{
    static const struct {
        const char *name;
        int least, most; /* words, with this one */
        int (*run)(struct cli *cli, struct error *err);
    } actions[] = {
        {"list", 1, 1, list},
        {"add", 2, 2, add},
        {"remove", 2, 2, remove_person},
        {"pin", 1, 2, set_pin},
    };

    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(cli->args[0], actions[i].name) == 0 && cli->arg_count >= actions[i].least &&
            cli->arg_count <= actions[i].most)
            return actions[i].run(cli, err);
    return error_set(err, ERR_USAGE, "usage: imprint people %s; see 'imprint help people'",
                     cli->command->arguments);
}
