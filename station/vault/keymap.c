#include "station/vault/keymap.h"

#include <stddef.h>

#define CONTROL(c) ((c)&0x1f)

/* Without and with Shift. */
static const char keys[][2] = {
    [KEY_1] = "1!",          [KEY_2] = "2@",           [KEY_3] = "3#",
    [KEY_4] = "4$",          [KEY_5] = "5%",           [KEY_6] = "6^",
    [KEY_7] = "7&",          [KEY_8] = "8*",           [KEY_9] = "9(",
    [KEY_0] = "0)",          [KEY_MINUS] = "-_",       [KEY_EQUAL] = "=+",
    [KEY_Q] = "qQ",          [KEY_W] = "wW",           [KEY_E] = "eE",
    [KEY_R] = "rR",          [KEY_T] = "tT",           [KEY_Y] = "yY",
    [KEY_U] = "uU",          [KEY_I] = "iI",           [KEY_O] = "oO",
    [KEY_P] = "pP",          [KEY_LEFTBRACE] = "[{",   [KEY_RIGHTBRACE] = "]}",
    [KEY_A] = "aA",          [KEY_S] = "sS",           [KEY_D] = "dD",
    [KEY_F] = "fF",          [KEY_G] = "gG",           [KEY_H] = "hH",
    [KEY_J] = "jJ",          [KEY_K] = "kK",           [KEY_L] = "lL",
    [KEY_SEMICOLON] = ";:",  [KEY_APOSTROPHE] = "'\"", [KEY_GRAVE] = "`~",
    [KEY_BACKSLASH] = "\\|", [KEY_Z] = "zZ",           [KEY_X] = "xX",
    [KEY_C] = "cC",          [KEY_V] = "vV",           [KEY_B] = "bB",
    [KEY_N] = "nN",          [KEY_M] = "mM",           [KEY_COMMA] = ",<",
    [KEY_DOT] = ".>",        [KEY_SLASH] = "/?",       [KEY_SPACE] = "  ",
    [KEY_ENTER] = "\r\r",    [KEY_KPENTER] = "\r\r",   [KEY_TAB] = "\t\t",
    [KEY_KPASTERISK] = "**", [KEY_KPMINUS] = "--",     [KEY_KPPLUS] = "++",
    [KEY_KPSLASH] = "//",    [KEY_KPDOT] = "..",       [KEY_KP0] = "00",
    [KEY_KP1] = "11",        [KEY_KP2] = "22",         [KEY_KP3] = "33",
    [KEY_KP4] = "44",        [KEY_KP5] = "55",         [KEY_KP6] = "66",
    [KEY_KP7] = "77",        [KEY_KP8] = "88",         [KEY_KP9] = "99",
};
#define KEYS (sizeof keys / sizeof *keys)

/* The place where it is noted that this key is down, or NULL. */
static bool *modifier(struct keymap *k, unsigned code)
{
    switch (code) {
    case KEY_LEFTSHIFT:
        return &k->shift[0];
    case KEY_RIGHTSHIFT:
        return &k->shift[1];
    case KEY_LEFTCTRL:
        return &k->control[0];
    case KEY_RIGHTCTRL:
        return &k->control[1];
    case KEY_LEFTALT:
        return &k->alt[0];
    case KEY_RIGHTALT:
        return &k->alt[1];
    default:
        return NULL;
    }
}

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

static int type(const struct keymap *k, unsigned code)
{
    bool shift = k->shift[0] || k->shift[1];
    char c = code < KEYS ? keys[code][0] : 0;

    if (c == 0 || k->alt[0] || k->alt[1])
        return KEYMAP_BAD;
    if (k->control[0] || k->control[1]) {
        char base = keys[code][is_letter(c) || shift];

        return base >= '@' && base <= '_' ? CONTROL(base) : KEYMAP_BAD;
    }
    if (is_letter(c) && k->capitals)
        shift = !shift;
    return keys[code][shift];
}

int keymap_take(struct keymap *k, const struct input_event *event)
{
    bool *held;

    if (event->type == EV_SYN && event->code == SYN_DROPPED) {
        *k = (struct keymap){.capitals = k->capitals};
        return KEYMAP_BAD;
    }
    if (event->type != EV_KEY)
        return KEYMAP_NONE;
    held = modifier(k, event->code);
    if (held) {
        *held = event->value != 0;
        return KEYMAP_NONE;
    }
    if (event->value != 1) /* let go, or held down: scanners press */
        return KEYMAP_NONE;
    if (event->code == KEY_CAPSLOCK) {
        k->capitals = !k->capitals;
        return KEYMAP_NONE;
    }
    return event->code == KEY_NUMLOCK ? KEYMAP_NONE : type(k, event->code);
}
