/*
 * keymap: what a scanner that is a keyboard types: the kernel's key events as the characters of a US
 * keyboard.
 *
 * Invariants
 *  1. Nothing is left out unseen: a key that types no character, an event that the kernel lost, and a key
 *     with Alt become KEYMAP_BAD, which no code may hold.
 *  2. Pure: events in, characters out.
 */
#ifndef STATION_VAULT_KEYMAP_H
#define STATION_VAULT_KEYMAP_H

#include <linux/input.h>
#include <stdbool.h>

#define KEYMAP_NONE (-1)   /* the event types nothing */
#define KEYMAP_BAD  '\x1a' /* SUB: something that is no character */

/* Which keys are down. Zero-initialise. */
struct keymap {
    bool shift[2], control[2], alt[2];
    bool capitals;
};

/*
 * The character that this event types, Enter as CR, the Tab key as a tab, with Ctrl as its control character
 * (GS is Ctrl and ]); KEYMAP_NONE; or KEYMAP_BAD.
 */
int keymap_take(struct keymap *k, const struct input_event *event);

#endif
