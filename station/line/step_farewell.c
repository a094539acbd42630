#include "station/line/step.h"

#include <string.h>

/* DECOMMISSION, and a look whether the device did forget. */
int step_farewell(struct slot *s, struct error *err)
{
    static const uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct link_farewell farewell = {.chip_id_len = s->chip_len};
    struct link_hello hello;
    const uint8_t *bytes;
    size_t len;
    int rc = desk_object(&s->desk, 0, &bytes, &len, err);

    if (rc == 0 && len != WIRE_FAREWELL_SIZE)
        rc = error_set(err, ERR_INTERNAL, "the vault handed out a farewell of another length");
    if (rc)
        return rc;
    memcpy(farewell.chip_id, s->chip, sizeof farewell.chip_id);
    memcpy(farewell.identity, bytes, sizeof farewell.identity);
    farewell.sig = link_sig_p256(bytes + sizeof farewell.identity);
    rc = link_client_decommission(&s->client, &farewell, err);
    if (rc == 0)
        rc = link_client_hello(&s->client, nonce, &hello, err);
    if (rc == 0 && hello.state != IMPRINT_TX_NONE)
        rc = error_next(
            err, NEXT_SET_ASIDE,
            error_set(err, ERR_PROTOCOL,
                      "the device says that it forgot its identity and still shows one: set it "
                      "aside"));
    return rc;
}
