#include "pki/ledger_hash.h"

#define LEDGER_LABEL "imprint ledger v1"

void ledger_hash(const uint8_t previous[SHA256_SIZE], const void *body, size_t len,
                 uint8_t hash[SHA256_SIZE])
{
    struct sha256 *s = sha256_new();

    sha256_update(s, LEDGER_LABEL, sizeof LEDGER_LABEL); /* with its NUL */
    sha256_update(s, previous, SHA256_SIZE);
    sha256_update(s, body, len);
    sha256_final(s, hash);
}
