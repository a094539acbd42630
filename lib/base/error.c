#include "base/error.h"

#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int code;
    const char *name;
} error_table[] = {
#define ERROR_ROW(name, status, meaning) {name, #name},
    ERROR_LIST(ERROR_ROW)
#undef ERROR_ROW
};

/* Moves to the next conversion of a format, such as "%.32s", and returns its length; 0 after the last. */
static size_t next_conversion(const char **at)
{
    size_t len, whole;

    *at += strcspn(*at, "%");
    whole = strlen(*at);
    len = whole ? strcspn(*at + 1, "diouxXscpfgen%") + 2 : 0;
    return len > whole ? whole : len;
}

/* Translations are files: one that asks for other arguments than the program passes is not followed. */
static bool takes_the_same(const char *format, const char *translated)
{
    size_t one, other;

    do {
        one = next_conversion(&format);
        other = next_conversion(&translated);
        if (one != other || memcmp(format, translated, one))
            return false;
        format += one;
        translated += other;
    } while (one);
    return true;
}

/* The translation of a format, or NULL. */
static const char *translation(const char *format)
{
    const char *found = *format ? gettext(format) : format;

    return found != format && takes_the_same(format, found) ? found : NULL;
}

int error_vset(struct error *err, int code, long native, const char *format, va_list args)
{
    struct error made = {.code = code, .native = native};
    const char *translated = translation(format);
    va_list again;

    va_copy(again, args);
    vsnprintf(made.text, sizeof made.text, format, args);
    if (translated)
        vsnprintf(made.local, sizeof made.local, translated, again);
    va_end(again);
    message_code(format, made.message);
    if (err)
        *err = made; /* which an argument may have pointed into */
    return code;
}

int error_set(struct error *err, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_vset(err, code, 0, format, args);
    va_end(args);
    return code;
}

int error_set_plain(struct error *err, int code, const char *message)
{
    const char *translated = translation(message);

    if (err) {
        *err = (struct error){.code = code};
        message_code(message, err->message);
        snprintf(err->text, sizeof err->text, "%s", message);
        snprintf(err->local, sizeof err->local, "%s", translated ? translated : "");
    }
    return code;
}

int error_set_native(struct error *err, int code, long native, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_vset(err, code, native, format, args);
    va_end(args);
    return code;
}

static int code_of_errno(int saved_errno)
{
    switch (saved_errno) {
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case EROFS:
    case EACCES:
        return ERR_READONLY;
    case ENOENT:
        return ERR_MISSING;
    case EEXIST:
        return ERR_EXISTS;
    default:
        return ERR_IO;
    }
}

static void append(char *text, size_t size, const char *tail)
{
    size_t used = strlen(text);

    snprintf(text + used, size - used, "%s", tail);
}

void error_append(struct error *err, const char *text)
{
    const char *translated = translation(text);

    if (!err)
        return;
    if (translated && !*err->local)
        memcpy(err->local, err->text, sizeof err->local);
    if (*err->local)
        append(err->local, sizeof err->local, translated ? translated : text);
    append(err->text, sizeof err->text, text);
}

int error_set_errno(struct error *err, int saved_errno, const char *format, ...)
{
    int code = code_of_errno(saved_errno);
    char why[128];
    va_list args;

    va_start(args, format);
    error_vset(err, code, saved_errno, format, args);
    va_end(args);
    snprintf(why, sizeof why, ": %s", strerrordesc_np(saved_errno));
    error_append(err, why);
    return code;
}

static void put_before(char *text, size_t size, const char *tail, const char *format, va_list args)
{
    char whole[sizeof((struct error *)0)->text];

    vsnprintf(whole, sizeof whole, format, args);
    append(whole, sizeof whole, ": ");
    append(whole, sizeof whole, tail);
    snprintf(text, size, "%s", whole);
}

int error_prefix(struct error *err, const char *format, ...)
{
    const char *translated = translation(format);
    va_list args;

    if (!err)
        return ERR_INTERNAL;
    if (translated || *err->local) {
        va_start(args, format);
        put_before(err->local, sizeof err->local, *err->local ? err->local : err->text,
                   translated ? translated : format, args);
        va_end(args);
    }
    va_start(args, format);
    put_before(err->text, sizeof err->text, err->text, format, args);
    va_end(args);
    return err->code;
}

int error_received(struct error *err, int code, const char *message, const char *text,
                   const char *local)
{
    struct error made = {.code = code};

    append(made.message, sizeof made.message, message);
    append(made.text, sizeof made.text, text);
    append(made.local, sizeof made.local, local);
    if (err)
        *err = made;
    return code;
}

const char *error_shown(const struct error *err, char out[ERROR_SHOWN_SIZE])
{
    snprintf(out, ERROR_SHOWN_SIZE, *err->message ? "%.511s (%s)" : "%.511s",
             *err->local ? err->local : err->text, err->message);
    return out;
}

void error_tell(const char *program, const struct error *err)
{
    char shown[ERROR_SHOWN_SIZE], safe[ERROR_SHOWN_SIZE];

    fprintf(stderr, "%s: %s\n", program, text_readable(error_shown(err, shown), safe, sizeof safe));
}

int error_recode(struct error *err, int code)
{
    if (err)
        err->code = code;
    return code;
}

int error_next(struct error *err, enum error_next next, int code)
{
    if (err)
        err->next = next;
    return code;
}

const char *error_name(int code)
{
    for (size_t i = 0; i < sizeof error_table / sizeof *error_table; i++)
        if (error_table[i].code == code)
            return error_table[i].name;
    return code == 0 ? "ERR_NONE" : "ERR_UNKNOWN";
}

int error_exit_status(int code)
{
    return code < 0 ? -code : code;
}
