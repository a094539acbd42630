#include "agent/frame.h"

#include "agent/wire.h"

#define CRC_SIZE   4
#define BLOCK_FULL 0xff /* a COBS block of 254 bytes that no zero follows */

void imprint_agent_frame_reset(struct imprint_agent *agent)
{
    agent->frame_len = 0;
    agent->cobs_left = 0;
    agent->cobs_zero = false;
    agent->frame_bad = false;
}

static void append(struct imprint_agent *agent, uint8_t byte)
{
    if (agent->frame_len == sizeof agent->frame)
        agent->frame_bad = true;
    else
        agent->frame[agent->frame_len++] = byte;
}

static bool complete(struct imprint_agent *agent)
{
    uint32_t crc;

    if (agent->frame_bad || agent->cobs_left != 0 || agent->frame_len < IMPRINT_FRAME_OVERHEAD)
        return false;
    agent->frame_len = (uint16_t)(agent->frame_len - CRC_SIZE);
    crc = imprint_agent_crc32(0, agent->frame, agent->frame_len);
    return crc == imprint_agent_load_u32(agent->frame + agent->frame_len);
}

bool imprint_agent_frame_byte(struct imprint_agent *agent, uint8_t byte)
{
    bool zero = agent->cobs_zero;

    if (byte == 0) {
        if (complete(agent))
            return true;
        imprint_agent_frame_reset(agent);
        return false;
    }
    if (agent->cobs_left > 0) {
        agent->cobs_left--;
    } else {
        /* A code byte: it says how long the next block is, and ends the one before. */
        agent->cobs_left = (uint8_t)(byte - 1);
        agent->cobs_zero = byte != BLOCK_FULL;
        if (!zero)
            return false;
        byte = 0;
    }
    append(agent, byte);
    return false;
}

static void send(struct imprint_agent *agent, const uint8_t *bytes, size_t len)
{
    agent->platform->send(agent->platform->send_context, bytes, len);
}

static void send_byte(struct imprint_agent *agent, uint8_t byte)
{
    send(agent, &byte, 1);
}

void imprint_agent_frame_send(struct imprint_agent *agent, size_t len)
{
    size_t at = 0, run;

    imprint_agent_store_u32(agent->frame + len, imprint_agent_crc32(0, agent->frame, len));
    len += CRC_SIZE;
    send_byte(agent, 0);
    while (at <= len) {
        for (run = 0; run < BLOCK_FULL - 1 && at + run < len && agent->frame[at + run]; run++)
            continue;
        send_byte(agent, (uint8_t)(run + 1));
        send(agent, agent->frame + at, run);
        /* A block that ended at a zero, or at the end of the frame, stands for one byte more. */
        at += run < BLOCK_FULL - 1 ? run + 1 : run;
    }
    send_byte(agent, 0);
}
