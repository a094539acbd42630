#include "station/report/markup.h"

#include <stdarg.h>
#include <stdio.h>

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return c < ' ' || c > '~' ? "&#xFFFD;" : NULL;
    }
}

void markup_text(struct buf *out, const char *text)
{
    for (; *text; text++) {
        const char *instead = entity(*text);

        if (instead)
            buf_put_str(out, instead);
        else
            buf_put_u8(out, (uint8_t)*text);
    }
}

void markup_printf(struct buf *out, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    markup_text(out, text);
}

void markup_element(struct buf *out, const char *element, const char *class, const char *text)
{
    buf_printf(out, class ? "<%s class=\"%s\">" : "<%s>", element, class);
    markup_text(out, text);
    buf_printf(out, "</%s>", element);
}
