#include "facts.h"

#include "base/codec.h"
#include "base/file.h"
#include "link/transcript.h"
#include "pki/ec.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <string.h>

/* "p256", a space, 130 hexadecimal digits. */
static int read_authority(const char *path, uint8_t point[IMPRINT_P256_POINT_SIZE],
                          struct error *err)
{
    struct buf b;
    EVP_PKEY *key = NULL;
    int rc;

    buf_init(&b, 4096);
    rc = file_read(path, &b, err);
    if (rc == 0) {
        buf_put_u8(&b, 0);
        while (b.len > 1 && isspace(b.data[b.len - 2]))
            b.data[--b.len - 1] = 0;
        if (buf_failed(&b) || strncmp((char *)b.data, "p256 ", 5) ||
            hex_decode((char *)b.data + 5, point, IMPRINT_P256_POINT_SIZE) ||
            ec_public_key(point, &key, NULL))
            rc = error_set(err, ERR_INPUT,
                           "'%s' is not an authority: it needs 'p256' and a point of 130 "
                           "hexadecimal digits",
                           path);
    }
    EVP_PKEY_free(key);
    buf_done(&b);
    return rc;
}

int facts_set(const struct fact_texts *texts, struct facts *facts,
              struct imprint_agent_platform *platform, struct error *err)
{
    if (hex_decode_any(texts->chip_id, facts->chip_id, sizeof facts->chip_id,
                       &platform->chip_id_len) ||
        platform->chip_id_len == 0)
        return error_set(err, ERR_USAGE, "chip id '%s' is not 1 to %d bytes in hexadecimal",
                         texts->chip_id, IMPRINT_CHIP_ID_MAX);
    if (!link_text_valid(texts->firmware, IMPRINT_FIRMWARE_MAX))
        return error_set(err, ERR_USAGE,
                         "firmware version '%s' is not 1 to %d printable characters",
                         texts->firmware, IMPRINT_FIRMWARE_MAX);
    platform->chip_id = facts->chip_id;
    platform->firmware = texts->firmware;
    platform->debug = texts->debug;
    if (texts->image_hash) {
        if (hex_decode(texts->image_hash, facts->image_hash, sizeof facts->image_hash))
            return error_set(err, ERR_USAGE, "image hash '%s' is not 64 hexadecimal digits",
                             texts->image_hash);
        platform->image_hash = facts->image_hash;
    }
    if (!texts->authority)
        return 0;
    platform->authority = facts->authority;
    return read_authority(texts->authority, facts->authority, err);
}
