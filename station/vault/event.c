#include "station/vault/event.h"

#include "base/clock.h"
#include "base/jcs.h"
#include "station/store/ledger.h"

#include <stdio.h>

#define EVENT_DATA_MAX 2048

/* The program that did it, for a device's history: its version, and when its sources were committed. */
static void put_build(struct jcs *j)
{
    char text[sizeof IMPRINT_VERSION + CLOCK_TEXT_SIZE] = IMPRINT_VERSION, built[CLOCK_TEXT_SIZE];

    if (clock_build()) {
        clock_text(clock_build(), built);
        snprintf(text, sizeof text, IMPRINT_VERSION " %s", built);
    }
    jcs_str(j, "build", text);
}

int event_put(struct vault *v, const char *event, const struct claim *claim,
              const struct credential *credential, int64_t leaf, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, EVENT_DATA_MAX);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    if (claim) {
        put_build(&j);
        jcs_hex(&j, "chip", claim->chip, claim->chip_len);
    }
    jcs_int(&j, "credential", credential->id);
    if (leaf != EVENT_NO_LEAF)
        jcs_int(&j, "leaf", leaf);
    jcs_hex(&j, "order", v->history.row.hash, 32);
    jcs_str(&j, "serial", credential->serial);
    if (claim) {
        jcs_str(&j, "slot", claim->slot);
        jcs_hex(&j, "tx", claim->tx, sizeof claim->tx);
    }
    jcs_end(&j);
    rc = ledger_append(v->store, event, &data, err);
    buf_done(&data);
    return rc;
}
