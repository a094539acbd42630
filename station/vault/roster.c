#include "station/vault/roster.h"

#include "station/store/ledger.h"
#include "station/vault/signing.h"

#include <string.h>

/* One change in a transaction of its own: event NULL adds. */
static int write_change(struct store *store, struct person *p, const char *event, struct error *err)
{
    int rc = store_begin(store, err);

    if (rc)
        return rc;
    rc = event ? person_change(store, p, event, err) : person_add(store, p, err);
    if (rc) {
        store_rollback(store);
        return rc;
    }
    return store_commit(store, err);
}

int roster_find(const struct people *people, const char *name, const struct person **found,
                struct error *err)
{
    *found = people_named(people, name);
    if (*found && (*found)->state == PERSON_ACTIVE)
        return 0;
    return error_set(err, ERR_MISSING,
                     "nobody here is called '%s': 'imprint people list' says who is", name);
}

int roster_add(struct store *store, const struct people *people, const char *name,
               enum person_role role, struct secret *badge, struct secret *pin, struct error *err)
{
    struct person p = {.role = role, .state = PERSON_ACTIVE};
    int rc = store_check_actor(name, NULL, err);

    if (rc == 0 && people->count == 0 && role != PERSON_SUPERVISOR)
        rc = error_set(err, ERR_REFUSED,
                       "the first person of a station is a supervisor, who then adds the others: "
                       "nothing was changed");
    if (rc)
        return rc;
    strcpy(p.name, name);
    rc = signing_badge(store, badge, p.badge, err);
    if (rc == 0)
        rc = signing_set_pin(store, &p, pin, err);
    return rc ? rc : write_change(store, &p, NULL, err);
}

int roster_remove(struct store *store, const struct people *people, const char *name,
                  struct error *err)
{
    const struct person *found;
    struct person p;
    int rc = roster_find(people, name, &found, err);

    if (rc)
        return rc;
    if (found->role == PERSON_SUPERVISOR && people_count(people, PERSON_SUPERVISOR) == 1)
        return error_set(err, ERR_REFUSED,
                         "'%s' is the last supervisor, and nobody could add another: add one first",
                         found->name);
    p = *found;
    p.state = PERSON_REMOVED;
    return write_change(store, &p, LEDGER_PERSON_REMOVED, err);
}

int roster_set_pin(struct store *store, const struct people *people, const char *name,
                   struct secret *pin, struct error *err)
{
    const struct person *found;
    struct person p;
    int rc = roster_find(people, name, &found, err);

    if (rc)
        return rc;
    p = *found;
    rc = signing_set_pin(store, &p, pin, err);
    return rc ? rc : write_change(store, &p, LEDGER_PERSON_PIN, err);
}
