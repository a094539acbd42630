/*
 * digest: SHA-256 (FIPS 180-4) of bytes at hand, and of bytes that stream by.
 *
 * SHA-256 over memory cannot fail except for want of memory; then the process ends, for no caller
 * could go on without it.
 */
#ifndef PKI_DIGEST_H
#define PKI_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32
#define SHA1_SIZE   20

void sha256(const void *bytes, size_t len, uint8_t out[SHA256_SIZE]);
void sha1(const void *bytes, size_t len, uint8_t out[SHA1_SIZE]); /* for names, not to protect */

/* A running digest: any number of updates, then one final, which also frees it. */
struct sha256;

struct sha256 *sha256_new(void);
void sha256_update(struct sha256 *s, const void *bytes, size_t len);
void sha256_final(struct sha256 *s, uint8_t out[SHA256_SIZE]);
void sha256_free(struct sha256 *s); /* without final; NULL is fine */

/* 32-byte values are compared with this where an attacker chose one of them. Nonzero if equal. */
int sha256_equal(const uint8_t a[SHA256_SIZE], const uint8_t b[SHA256_SIZE]);

#endif
