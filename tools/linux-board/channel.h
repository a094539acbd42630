/*
 * channel: how a Linux board hears the station: a USB function of its own, through FunctionFS, or any
 * serial port, such as the /dev/ttyGS0 of a gadget or a real UART.
 *
 * Invariants
 *  1. A host that goes away is no error: reading goes on when it is back. What was sent meanwhile is lost,
 *     and the station asks again.
 *  2. What is written at once is one USB transfer: when it fills its last packet, an empty one ends it.
 */
#ifndef LINUX_BOARD_CHANNEL_H
#define LINUX_BOARD_CHANNEL_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct channel {
    int in,
        out; /* towards the host, and from it: USB's words; the same descriptor for a terminal */
    int control; /* endpoint 0, -1 for a terminal */
    const char *path;
};

/*
 * Opens the function whose FunctionFS is mounted on folder, and describes it to the kernel: one interface of
 * class 255 (vendor-specific) with a bulk endpoint each way, at full, high and super speed. The gadget can
 * be bound to its controller once folder/ep2 is there. Starts a thread that refuses control requests.
 * Errors: those of error_set_errno. The texts of folder and path must outlive the channel.
 */
MUST_USE int channel_open_usb(struct channel *channel, const char *folder, struct error *err);

/* Opens a terminal for bytes as they are. Errors: those of error_set_errno. */
MUST_USE int channel_open_terminal(struct channel *channel, const char *path, struct error *err);

/* Waits for bytes, for ever, and returns how many came, at least 1. size: a multiple of 1,024. */
size_t channel_read(struct channel *channel, uint8_t *bytes, size_t size);

/* Sends one reply; what the host does not take because it went away is lost. */
void channel_write(const struct channel *channel, const uint8_t *bytes, size_t len);

void channel_close(struct channel *channel);

#endif
