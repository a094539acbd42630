#include "station/board/ink.h"

#include <term.h>
#include <unistd.h>

static int plain_ascii;

/* Blue-green and orange are told apart with every common colour blindness, and differ in brightness. */
#define PASS_256 36
#define FAIL_256 202
#define BUSY_256 33

static int has_string(const char *name)
{
    const char *text = tigetstr(name);

    return text && text != (const char *)-1;
}

int ink_terminal_is_usable(void)
{
    int status;

    return setupterm(NULL, STDOUT_FILENO, &status) == OK && has_string("cup") &&
           has_string("clear");
}

void ink_init(int ascii)
{
    int rich;

    plain_ascii = ascii;
    if (!has_colors())
        return;
    start_color();
    use_default_colors();
    rich = COLORS >= 256;
    init_pair(INK_PASS, rich ? PASS_256 : COLOR_GREEN, -1);
    init_pair(INK_FAIL, rich ? 16 : COLOR_BLACK, rich ? FAIL_256 : COLOR_YELLOW);
    init_pair(INK_BUSY, rich ? BUSY_256 : COLOR_CYAN, -1);
}

int ink(enum ink kind)
{
    int colour = has_colors() ? (int)COLOR_PAIR(kind) : 0, strong = (int)A_BOLD;

    switch (kind) {
    case INK_STRONG:
        return strong;
    case INK_BAR:
        return (int)A_REVERSE;
    case INK_PASS:
    case INK_BUSY:
        return strong | colour;
    case INK_FAIL:
        return colour ? colour : (int)A_REVERSE;
    default:
        return (int)A_NORMAL;
    }
}

void ink_dot(int y, int x)
{
    attr_t before;
    short pair;

    (void)attr_get(&before, &pair, NULL);
    if (plain_ascii)
        (void)attr_set(before ^ A_REVERSE, pair, NULL);
    mvaddstr(y, x, plain_ascii ? "#" : "\u2588");
    (void)attr_set(before, pair, NULL);
}

const char *ink_bar(int full)
{
    if (plain_ascii)
        return full ? "=" : ".";
    return full ? "\u2588" : "\u2591";
}
