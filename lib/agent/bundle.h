/*
 * bundle: BEGIN and COMMIT, the two requests that decide what a device will be.
 *
 * BEGIN: nothing is written before the station's signature over the transcript verifies. COMMIT:
 * nothing is in force before every object, the bundle hash and the key were checked from flash.
 */
#ifndef IMPRINT_AGENT_BUNDLE_H
#define IMPRINT_AGENT_BUNDLE_H

#include "agent/agent.h"
#include "agent/transcript.h"
#include "agent/wire.h"

/* What BEGIN and KEYGEN have in common: members 1 to 6, and 10 to 12 with the end of the map. */
void imprint_agent_begin_head(struct imprint_agent_reader *r, struct imprint_agent_begin *b);
enum imprint_status imprint_agent_begin_tail(struct imprint_agent_reader *r,
                                             struct imprint_agent_begin *b);

/* The station's certificate, and its signature over label ‖ X. A status. */
enum imprint_status imprint_agent_station_verify(const struct imprint_agent *agent,
                                                 const struct imprint_agent_begin *b,
                                                 const char *label, const uint8_t *x, size_t len);

/* Reads and checks a BEGIN map, and opens its transaction unless it is open already. A status. */
enum imprint_status imprint_agent_bundle_begin(struct imprint_agent *agent,
                                               struct imprint_agent_reader *r, int *slot);

/* Checks the open slot and puts it in force. A status; all but OK leave it open. */
enum imprint_status imprint_agent_bundle_commit(struct imprint_agent *agent);

#endif
