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
    if (byte == 0) {
        if (complete(agent))
            return true;
        imprint_agent_frame_reset(agent);
    } else if (agent->cobs_left > 0) {
        append(agent, byte);
        agent->cobs_left--;
    } else {
        if (agent->cobs_zero)
            append(agent, 0);
        agent->cobs_left = (uint8_t)(byte - 1);
        agent->cobs_zero = byte != BLOCK_FULL;
    }
    return false;
}

void imprint_agent_frame_send(struct imprint_agent *agent, size_t len)
{
    const struct imprint_agent_platform *p = agent->platform;
    size_t at = 0, run;
    uint8_t code = 0;

    imprint_agent_store_u32(agent->frame + len, imprint_agent_crc32(0, agent->frame, len));
    len += CRC_SIZE;
    p->send(p->send_context, &code, 1);
    while (at <= len) {
        for (run = 0; run < BLOCK_FULL - 1 && at + run < len && agent->frame[at + run]; run++)
            continue;
        code = (uint8_t)(run + 1);
        p->send(p->send_context, &code, 1);
        p->send(p->send_context, agent->frame + at, run);
        /* A block that ended at a zero, or at the end of the frame, stands for one byte more. */
        at += run < BLOCK_FULL - 1 ? run + 1 : run;
    }
    code = 0;
    p->send(p->send_context, &code, 1);
}
