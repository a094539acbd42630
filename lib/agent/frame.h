/*
 * frame: the agent's framing: COBS between zero bytes, with a CRC-32 at the end of each frame.
 *
 * Invariants
 *  1. Received and sent frames share the one buffer of the agent: a handler reads its request whole
 *     before it writes its reply.
 *  2. What is too long, cut, or has a wrong checksum is dropped without an answer.
 */
#ifndef IMPRINT_AGENT_FRAME_H
#define IMPRINT_AGENT_FRAME_H

#include "agent/agent.h"

/* Forgets a frame that was begun. */
void imprint_agent_frame_reset(struct imprint_agent *agent);

/* Takes one byte; true when it completes a frame, whose frame_len bytes no longer hold the CRC. */
bool imprint_agent_frame_byte(struct imprint_agent *agent, uint8_t byte);

/* Sends the first len bytes of the buffer, which has room for a CRC after them. */
void imprint_agent_frame_send(struct imprint_agent *agent, size_t len);

#endif
