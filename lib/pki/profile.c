#include "pki/profile.h"

#include "pki/digest.h"

#include <string.h>

static bool is_alphanumeric(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int serial_valid(const char *serial, struct error *err)
{
    size_t len = strlen(serial);

    if (len < SERIAL_MIN || len > SERIAL_MAX)
        return error_set(err, ERR_INPUT, "serial '%.80s' has %zu characters, it must have %d to %d",
                         serial, len, SERIAL_MIN, SERIAL_MAX);
    for (size_t i = 0; i < len; i++) {
        bool inner = i > 0 && i + 1 < len;

        if (is_alphanumeric(serial[i]) || (inner && (serial[i] == '-' || serial[i] == '_')))
            continue;
        return error_set(err, ERR_INPUT,
                         "serial '%s' has character 0x%02x at position %zu: allowed are letters, "
                         "digits, and between them '-' and '_'",
                         serial, (unsigned char)serial[i], i + 1);
    }
    return 0;
}

void cert_number(const uint8_t random[CERT_RANDOM_SIZE], uint64_t credential,
                 uint8_t number[CERT_NUMBER_SIZE])
{
    number[0] = 0x01;
    memcpy(number + 1, random, CERT_RANDOM_SIZE);
    for (size_t i = 0; i < 6; i++)
        number[1 + CERT_RANDOM_SIZE + i] = (uint8_t)(credential >> (8 * (5 - i)));
}

void cert_key_id(const struct public_key *key, uint8_t key_id[CERT_KEY_ID_SIZE])
{
    size_t len;
    const uint8_t *bits = key_bits(key, &len);

    sha1(bits, len, key_id);
}
