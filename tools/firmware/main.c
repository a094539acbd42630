/*
 * The smallest firmware that can be provisioned: the agent on a UART, with Mbed TLS, pinning an
 * authority. docs/firmware.md tells how it comes to be.
 */
#include "board.h"

#include "agent/port_mbedtls.h"

#ifdef FIRMWARE_AUTHORITY
static const uint8_t authority[IMPRINT_P256_POINT_SIZE] = {FIRMWARE_AUTHORITY};
#define AUTHORITY authority
#else
#define AUTHORITY NULL /* takes trust anchors from whoever holds the cable: HELLO says so */
#endif

static struct imprint_agent agent;
static struct imprint_agent_platform platform;
static struct imprint_agent_port_mbedtls port;
static uint8_t image_hash[IMPRINT_HASH_SIZE];

static bool hash_image(void)
{
    const struct imprint_agent_crypto *c = &platform.crypto;

    c->sha256_init(c->context);
    c->sha256_update(c->context, board_image_start, (size_t)(board_image_end - board_image_start));
    return c->sha256_final(c->context, image_hash);
}

int main(void)
{
    uint8_t byte;

    board_init();
    /* Without random bytes there are no keys: a device that is silent is found at once. */
    if (!imprint_agent_port_mbedtls_init(&platform.crypto, &port, board_entropy, NULL) ||
        !hash_image())
        return 1;
    platform.store = board_flash();
    platform.send = board_uart_write;
    platform.chip_id = BOARD_CHIP_ID;
    platform.chip_id_len = BOARD_CHIP_ID_SIZE;
    platform.firmware = "1.0.0";
    platform.image_hash = image_hash;
    platform.debug = true; /* a simulation has no secrets from who runs it */
    platform.authority = AUTHORITY;
    imprint_agent_init(&agent, &platform);
    for (;;) {
        byte = board_uart_read();
        imprint_agent_input(&agent, &byte, 1);
    }
}
