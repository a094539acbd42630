/*
 * ask: HELLO, READ and PROVE, and nothing that would change a device with a locked identity.
 *
 * A device that is not locked keeps the transport key that it makes at its first HELLO, as every station's
 * HELLO has it do; of an identity in force nothing changes.
 */
#ifndef STATION_VERIFY_ASK_H
#define STATION_VERIFY_ASK_H

#include "link/client.h"
#include "station/verify/probe.h"

/*
 * Asks the device at the other end of c. certificates receives what READ gave, at most its limit, of a
 * device that has an identity and lets it be read. Errors: ERR_TIMEOUT, ERR_GONE, ERR_IO; ERR_PROTOCOL when
 * what answers is no device. A refusal of READ or PROVE is none: p->proved tells.
 */
MUST_USE int ask_device(struct link_client *c, const struct probe_question *q, struct probe *p,
                        struct buf *certificates, struct error *err);

#endif
