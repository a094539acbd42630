/*
 * bundle: BEGIN and COMMIT, the two requests that decide what a device will be.
 *
 * BEGIN: nothing is written before the station's signature over the transcript verifies. COMMIT:
 * nothing is in force before every object, the bundle hash and the key were checked from flash.
 */
#ifndef IMPRINT_AGENT_BUNDLE_H
#define IMPRINT_AGENT_BUNDLE_H

#include "agent/agent.h"
#include "agent/wire.h"

/* Reads and checks a BEGIN map, and opens its transaction unless it is open already. A status. */
enum imprint_status imprint_agent_bundle_begin(struct imprint_agent *agent,
                                               struct imprint_agent_reader *r, int *slot);

/* Checks the open slot and puts it in force. A status; all but OK leave it open. */
enum imprint_status imprint_agent_bundle_commit(struct imprint_agent *agent);

#endif
