/* What the keys of a scanner that is a keyboard say. */
#include "check_util.h"

#include "station/vault/keymap.h"

#include <stdio.h>

#define DOWN(key)                                                                                  \
    {                                                                                              \
        .type = EV_KEY, .code = key, .value = 1                                                    \
    }
#define UP(key)                                                                                    \
    {                                                                                              \
        .type = EV_KEY, .code = key, .value = 0                                                    \
    }
#define EVENTS 12

static const struct {
    const char *types;
    struct input_event events[EVENTS];
} typed[] = {
    {"a", {DOWN(KEY_A), UP(KEY_A)}},
    {"aA", {DOWN(KEY_A), DOWN(KEY_LEFTSHIFT), DOWN(KEY_A), UP(KEY_LEFTSHIFT)}},
    {"A", {DOWN(KEY_RIGHTSHIFT), DOWN(KEY_A), UP(KEY_A), UP(KEY_RIGHTSHIFT)}},
    {":", {DOWN(KEY_LEFTSHIFT), DOWN(KEY_SEMICOLON)}},
    {"]", {DOWN(KEY_RIGHTBRACE)}},
    {"(1)",
     {DOWN(KEY_LEFTSHIFT), DOWN(KEY_9), UP(KEY_LEFTSHIFT), DOWN(KEY_1), DOWN(KEY_RIGHTSHIFT),
      DOWN(KEY_0)}},
    {"7", {DOWN(KEY_KP7)}},
    {"\r", {DOWN(KEY_ENTER)}},
    {"\r", {DOWN(KEY_KPENTER)}},
    {"\t", {DOWN(KEY_TAB)}},
    {"Aa1",
     {DOWN(KEY_CAPSLOCK), UP(KEY_CAPSLOCK), DOWN(KEY_A), DOWN(KEY_LEFTSHIFT), DOWN(KEY_A),
      UP(KEY_LEFTSHIFT), DOWN(KEY_1)}},
    {"\x1d", {DOWN(KEY_LEFTCTRL), DOWN(KEY_RIGHTBRACE), UP(KEY_LEFTCTRL)}},
    {"\x03", {DOWN(KEY_RIGHTCTRL), DOWN(KEY_C)}},
    {"a",
     {DOWN(KEY_A),
      {.type = EV_KEY, .code = KEY_A, .value = 2},
      {.type = EV_MSC, .code = MSC_SCAN}}},
    /* what is no character is not left out */
    {"\x1a", {DOWN(KEY_F4)}},
    {"\x1a", {DOWN(KEY_LEFTALT), DOWN(KEY_A)}},
    {"\x1a", {DOWN(KEY_LEFTCTRL), DOWN(KEY_1)}},
    {"\x1a", {DOWN(KEY_MAX)}},
    {"\x1a", {DOWN(BTN_LEFT)}},
    {"\x1a"
     "a",
     {DOWN(KEY_LEFTSHIFT), {.type = EV_SYN, .code = SYN_DROPPED}, DOWN(KEY_A)}},
};

START_TEST(keys_are_those_of_a_us_keyboard)
{
    struct keymap k = {.capitals = false};
    char said[EVENTS + 1] = "";
    size_t len = 0;

    for (size_t i = 0; i < EVENTS; i++) {
        int c = keymap_take(&k, &typed[_i].events[i]);

        if (c != KEYMAP_NONE)
            said[len++] = (char)c;
    }
    ck_assert_str_eq(said, typed[_i].types);
}
END_TEST

/* All 95 printable characters can be typed. */
START_TEST(every_character_has_a_key)
{
    bool seen[128] = {false};
    int count = 0;

    for (unsigned short code = 1; code < KEY_MAX; code++)
        for (int shift = 0; shift < 2; shift++) {
            struct keymap k = {.shift = {shift != 0}};
            struct input_event e = DOWN(code);
            int c = keymap_take(&k, &e);

            if (c >= 0x20 && c < 0x7f)
                seen[c] = true;
        }
    for (int c = 0x20; c < 0x7f; c++)
        count += seen[c];
    ck_assert_int_eq(count, 95);
}
END_TEST

CHECK_ITEMS_MAIN("keymap", EACH_ROW(keys_are_those_of_a_us_keyboard, typed),
                 ONCE(every_character_has_a_key))
