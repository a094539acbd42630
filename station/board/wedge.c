#include "station/board/wedge.h"

#define LEAST 2
#define GS    0x1d
#define SUB   0x1a /* no code may hold it */

static bool is_end(int key)
{
    return key == '\r' || key == '\n' || key == '\t';
}

static bool is_character(int key)
{
    return (key >= 0x20 && key < 0x7f) || key == GS;
}

static bool follows(const struct wedge *w, int64_t now_ms)
{
    return w->len > 0 && now_ms - w->last_ms <= WEDGE_GAP_MS;
}

bool wedge_is_typing(const struct wedge *w, int64_t now_ms)
{
    return w->characters >= LEAST && follows(w, now_ms);
}

static void add(struct wedge *w, char c)
{
    w->characters += c != SUB;
    if (w->len < sizeof w->code)
        w->code[w->len++] = c;
}

bool wedge_take(struct wedge *w, int key, int64_t now_ms)
{
    bool typing = follows(w, now_ms);

    if (is_end(key)) {
        bool ended = typing && w->len >= LEAST;

        if (!ended)
            w->len = 0;
        w->characters = 0;
        w->last_ms = now_ms - WEDGE_GAP_MS - 1;
        return ended;
    }
    if (!typing)
        w->len = w->characters = 0;
    if (is_character(key))
        add(w, (char)key);
    else if (typing)
        add(w, SUB);
    else
        return false;
    w->last_ms = now_ms;
    return false;
}
