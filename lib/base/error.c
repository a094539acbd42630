#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
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

static int fill(struct error *err, int code, long native, const char *format, va_list args)
{
    if (err) {
        err->code = code;
        err->native = native;
        err->next = NEXT_BY_CLASS;
        vsnprintf(err->text, sizeof err->text, format, args);
    }
    return code;
}

int error_set(struct error *err, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(err, code, 0, format, args);
    va_end(args);
    return code;
}

int error_set_native(struct error *err, int code, long native, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(err, code, native, format, args);
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

int error_set_errno(struct error *err, int saved_errno, const char *format, ...)
{
    int code = code_of_errno(saved_errno);
    va_list args;

    va_start(args, format);
    fill(err, code, saved_errno, format, args);
    va_end(args);
    if (err) {
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(saved_errno));
    }
    return code;
}

int error_prefix(struct error *err, const char *format, ...)
{
    char tail[sizeof err->text];
    va_list args;
    size_t used;

    if (!err)
        return ERR_INTERNAL;
    memcpy(tail, err->text, sizeof tail);
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, ": %s", tail);
    return err->code;
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
