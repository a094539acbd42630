#include "pki/serial_name.h"

#include "base/buf.h"
#include "pki/profile.h"

#include <string.h>

#define ESCAPE "Z"
#define SUFFIX "--" ESCAPE /* no plain serial has two '-' in a row */

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static int check_characters(const char *serial, struct error *err)
{
    size_t good = strspn(serial, SERIAL_CHARACTERS);

    if (!*serial)
        return error_set(err, ERR_INPUT, "the serial is empty");
    if (serial[good])
        return error_set(err, ERR_INPUT,
                         "character %zu of the serial, 0x%02x, is none that a serial can hold: "
                         "letters, digits and !\"%%&'()*+,-./:;<=>?_",
                         good + 1, (unsigned char)serial[good]);
    if (good > SERIAL_TEXT_MAX)
        return error_set(err, ERR_INPUT, "the serial has %zu characters, and may have %d", good,
                         SERIAL_TEXT_MAX);
    return 0;
}

/* Its own name: letters and digits, and single '-' between them. */
static bool is_plain(const char *serial)
{
    char before = '-';

    for (; *serial; before = *serial++)
        if (!is_alphanumeric(*serial) && (*serial != '-' || before == '-'))
            return false;
    return before != '-';
}

static void put_escaped(struct buf *name, const char *serial)
{
    for (; *serial; serial++)
        if (is_alphanumeric(*serial) && (*serial | 0x20) != 'z')
            buf_put_u8(name, (uint8_t)*serial);
        else
            buf_printf(name, ESCAPE "%02X", (unsigned char)*serial);
    buf_put_str(name, SUFFIX);
}

int serial_to_name(const char *serial, char name[SERIAL_NAME_MAX + 1], struct error *err)
{
    struct buf text;
    int rc = check_characters(serial, err);

    if (rc)
        return rc;
    buf_init(&text, SERIAL_NAME_MAX);
    if (is_plain(serial))
        buf_put_str(&text, serial);
    else
        put_escaped(&text, serial);
    if (buf_failed(&text) || text.len < SERIAL_MIN)
        rc = error_set(err, ERR_INPUT,
                       "the serial '%s' becomes a name of less than %d or more than %d characters, "
                       "which certificates and platforms cannot hold",
                       serial, SERIAL_MIN, SERIAL_NAME_MAX);
    if (rc == 0) {
        memcpy(name, text.data, text.len);
        name[text.len] = 0;
    }
    buf_done(&text);
    return rc;
}

int serial_check(const char *serial, struct error *err)
{
    char name[SERIAL_NAME_MAX + 1];

    return serial_to_name(serial, name, err);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Writes what len characters stand for; false when an escape is cut or no hexadecimal digits. */
static bool unescape(const char *p, size_t len, char *out)
{
    const char *end = p + len;

    for (; p < end; p++) {
        if (*p != *ESCAPE) {
            *out++ = *p;
            continue;
        }
        if (end - p < 3 || digit(p[1]) < 0 || digit(p[2]) < 0)
            return false;
        *out++ = (char)(16 * digit(p[1]) + digit(p[2]));
        p += 2;
    }
    *out = 0;
    return true;
}

/* What was read must be written as that very name: no serial has two. */
bool serial_from_name(const char *name, char serial[SERIAL_TEXT_MAX + 1])
{
    char read[SERIAL_NAME_MAX + 1], again[SERIAL_NAME_MAX + 1];
    size_t len = strlen(name), suffix = strlen(SUFFIX);

    if (len > SERIAL_NAME_MAX)
        return false;
    strcpy(read, name);
    if (len > suffix && strcmp(name + len - suffix, SUFFIX) == 0 &&
        !unescape(name, len - suffix, read))
        return false;
    if (serial_to_name(read, again, NULL) || strcmp(again, name))
        return false;
    strcpy(serial, read);
    return true;
}
