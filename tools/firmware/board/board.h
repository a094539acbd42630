/*
 * board: what firmware needs of its board, here the machine mps2-an385 of QEMU: a Cortex-M3 with a
 * CMSDK UART. A product brings its own.
 *
 * SIMULATION. The machine has no random source, no flash and no unique id. board_entropy asks the
 * host's kernel through semihosting; flash and id lie in the 16 MB of memory at 0x21000000, which
 * QEMU keeps in a file (tools/firmware/run). None of this may go into a product.
 *
 *   0x21000000  the chip's id, 8 bytes, as a product has it in fuses
 *   0x21001000  journal, 4 kB
 *   0x21002000  slot A, 8 kB
 *   0x21004000  slot B, 8 kB
 *   0x21010000  for tests: u32 the operation of flash in which power fails (0: none), u32 how many
 *               quarters of it are done; little-endian
 */
#ifndef FIRMWARE_BOARD_H
#define FIRMWARE_BOARD_H

#include "agent/agent.h"

#define BOARD_CHIP_ID      ((const uint8_t *)0x21000000)
#define BOARD_CHIP_ID_SIZE 8

/* The running image, for its hash. */
extern const uint8_t board_image_start[], board_image_end[];

/* Turns the UART on. */
void board_init(void);

/* For the vector table. */
void board_reset(void);
void board_uart_interrupt(void);

/* The next byte received; sleeps until there is one. */
uint8_t board_uart_read(void);

/* As the platform's send. */
void board_uart_write(void *context, const uint8_t *bytes, size_t len);

/* Three regions of flash: an erase sets all bits, a write clears some, power may fail in both. */
struct imprint_agent_store board_flash(void);

/* SIMULATION: random bytes of the host's kernel. 0, or -1 when there are none. */
int board_entropy(void *context, unsigned char *out, size_t len);

/* SIMULATION: ends the machine; QEMU's exit status is this one. */
#define BOARD_EXIT_FAULT     98
#define BOARD_EXIT_POWER_CUT 99
void board_power_off(int status) __attribute__((noreturn));

#endif
