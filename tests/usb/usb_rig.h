/*
 * usb_rig: USB devices that are not there, for an unmodified libusb, by umockdev. The program runs
 * under umockdev-wrapper; needs neither root nor a kernel with USB.
 *
 * A device is 1209:0001 at path "1-1", "1-2", ... and has a vendor-specific interface with a bulk
 * endpoint each way, of 512 bytes a packet, or class 3 with RIG_USB_HID. What the host sends can be
 * read from the descriptor that the device was plugged in with, and what is written there the host
 * receives. Like a kernel's, and unlike a cable, it does not split transfers into packets: the rig
 * counts the empty ones, which the host has to send itself.
 */
#ifndef TESTS_USB_RIG_H
#define TESTS_USB_RIG_H

#include <stdbool.h>

enum rig_usb_kind { RIG_USB_BULK, RIG_USB_HID };

struct rig_usb;

/* Once in a process, before libusb is used. */
void rig_usb_start(void);

/* number, from 1, is the port; fd is not closed by the rig. When it hangs up the device is gone. */
struct rig_usb *rig_usb_plug(int number, enum rig_usb_kind kind, int fd);

/* A device that the system shows as the serial port /dev/ttyACM<number>, and that does nothing. */
void rig_usb_add_tty(int number);

/* From now on every call fails as for a device that is gone. */
void rig_usb_unplug(struct rig_usb *device);

/* The same, and the system forgets it: another one may be plugged in in its place. */
void rig_usb_remove(struct rig_usb *device);

/* The same once so many more bytes have passed, of both directions together, the last ones lost. */
void rig_usb_unplug_after(struct rig_usb *device, unsigned bytes);

/* The device answers nothing any more and takes nothing. */
void rig_usb_stall(struct rig_usb *device);

/* A driver of the kernel has the interface. */
void rig_usb_bind_driver(struct rig_usb *device);
bool rig_usb_has_driver(const struct rig_usb *device);

/* What the host did. */
unsigned rig_usb_empty_packets(const struct rig_usb *device);
bool rig_usb_claimed(const struct rig_usb *device);

#endif
