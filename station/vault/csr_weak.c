#include "station/vault/csr_weak.h"

#include "station/vault/csr_der.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <string.h>

#define WEAK_MULTIPLES 1024 /* of the generator: private keys that somebody counted up to */
#define SMALL_PRIMES   2048
#define FERMAT_STEPS   128
#define ROCA_PRIMES    167 /* the largest prime that tells keys of Infineon's library */
#define ROCA_GENERATOR 65537

/* ---- points ---- */

static int refuse_guessed(struct error *err)
{
    return error_set(err, ERR_REFUSED,
                     WHOSE " has a weak key, which anybody can guess: its random source is broken, "
                           "set it aside");
}

/* A multiple of the generator that somebody counted up to, on either side of zero. */
static int check_multiples(const EC_GROUP *group, const EC_POINT *point, BN_CTX *ctx,
                           struct error *err)
{
    const EC_POINT *generator = EC_GROUP_get0_generator(group);
    EC_POINT *sum = EC_POINT_dup(generator, group), *mirror = EC_POINT_dup(point, group);
    bool ok = sum && mirror && EC_POINT_invert(group, mirror, ctx) == 1;
    bool weak = false;

    for (int i = 0; ok && !weak && i < WEAK_MULTIPLES; i++) {
        weak =
            EC_POINT_cmp(group, sum, point, ctx) == 0 || EC_POINT_cmp(group, sum, mirror, ctx) == 0;
        ok = EC_POINT_add(group, sum, sum, generator, ctx) == 1;
    }
    EC_POINT_free(sum);
    EC_POINT_free(mirror);
    if (weak)
        return refuse_guessed(err);
    return ok ? 0 : error_set(err, ERR_INTERNAL, "out of memory");
}

int csr_weak_point(const struct public_key *key, const char *curve, struct error *err)
{
    int nid = key->type == KEY_P256 ? NID_X9_62_prime256v1 : NID_secp384r1;
    EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
    EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    BN_CTX *ctx = BN_CTX_new();
    size_t len;
    const uint8_t *bits = key_bits(key, &len);
    int rc;

    if (!point || !ctx)
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    else if (EC_POINT_oct2point(group, point, bits, len, ctx) != 1)
        rc =
            error_set(err, ERR_REFUSED, WHOSE " has a key that is no point of the curve %s", curve);
    else
        rc = check_multiples(group, point, ctx, err);
    BN_CTX_free(ctx);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return rc;
}

/* ---- RSA ---- */

static bool is_prime(unsigned n)
{
    for (unsigned d = 2; d * d <= n; d++)
        if (n % d == 0)
            return false;
    return n > 1;
}

/* The smallest prime factor below SMALL_PRIMES, 0 for none. */
static unsigned small_factor(const BIGNUM *n)
{
    for (unsigned p = 3; p < SMALL_PRIMES; p += 2)
        if (is_prime(p) && BN_mod_word(n, p) == 0)
            return p;
    return 0;
}

/* Whether a residue is a power of the generator modulo a prime. */
static bool is_power(unsigned residue, unsigned prime)
{
    unsigned power = 1;

    do {
        if (power == residue)
            return true;
        power = power * (ROCA_GENERATOR % prime) % prime;
    } while (power != 1);
    return false;
}

/*
 * Primes of Infineon's library are k·M + (65537^a mod M), with M the product of the first primes: so
 * the modulus is a power of 65537 for each of them. Of other moduli one in 2^27 is.
 */
static bool is_roca(const BIGNUM *n)
{
    for (unsigned p = 3; p <= ROCA_PRIMES; p += 2)
        if (is_prime(p) && !is_power((unsigned)BN_mod_word(n, p), p))
            return false;
    return true;
}

/* The integer square root, by Newton's method from above. */
static bool square_root(const BIGNUM *n, BIGNUM *root, BN_CTX *ctx)
{
    BIGNUM *next = BN_new();
    bool ok = next && BN_set_word(root, 0) == 1 && BN_set_bit(root, (BN_num_bits(n) + 1) / 2) == 1;

    if (BN_is_zero(n))
        BN_zero(root);
    while (ok && !BN_is_zero(n)) {
        ok = BN_div(next, NULL, n, root, ctx) == 1 && BN_add(next, next, root) == 1 &&
             BN_rshift1(next, next) == 1;
        if (!ok || BN_cmp(next, root) >= 0)
            break;
        ok = BN_copy(root, next) != NULL;
    }
    BN_free(next);
    return ok;
}

/* Fermat: n = a² - b² with a a little above the root. *close tells whether one of the first steps finds
 * it: then the two primes are so close that anybody does. */
static bool find_close(const BIGNUM *n, bool *close, BN_CTX *ctx)
{
    BIGNUM *a = BN_new(), *rest = BN_new(), *b = BN_new();
    bool ok = a && rest && b && square_root(n, a, ctx);

    for (int i = 0; ok && !*close && i < FERMAT_STEPS; i++) {
        ok = BN_sqr(rest, a, ctx) == 1 && BN_sub(rest, rest, n) == 1;
        if (ok && !BN_is_negative(rest)) {
            ok = square_root(rest, b, ctx) && BN_sqr(b, b, ctx) == 1;
            *close = ok && BN_cmp(b, rest) == 0;
        }
        ok = ok && BN_add_word(a, 1) == 1;
    }
    BN_free(a);
    BN_free(rest);
    BN_free(b);
    return ok;
}

int csr_weak_modulus(const uint8_t *modulus, size_t len, struct error *err)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *n = BN_bin2bn(modulus, (int)len, NULL);
    bool close = false;
    int rc = 0;

    if (!ctx || !n)
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    else if (small_factor(n))
        rc = error_set(err, ERR_REFUSED, WHOSE " has an RSA key whose modulus has the factor %u",
                       small_factor(n));
    else if (is_roca(n))
        rc = error_set(err, ERR_REFUSED,
                       WHOSE " has an RSA key of the weak kind that Infineon's library made (ROCA, "
                             "CVE-2017-15361): its chip needs other firmware, or an EC key");
    else if (!find_close(n, &close, ctx))
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    else if (close)
        rc = error_set(err, ERR_REFUSED,
                       WHOSE " has an RSA key of two primes that are close to each other, which "
                             "anybody can find");
    BN_free(n);
    BN_CTX_free(ctx);
    return rc;
}

/* ---- Ed25519 ---- */

/* Numbers modulo p = 2^255 - 19; d = -121665/121666 (RFC 8032 section 5.1). */
struct field {
    BN_CTX *ctx;
    BIGNUM *p, *d, *one;
};

static bool field_init(struct field *f)
{
    *f = (struct field){BN_CTX_new(), BN_new(), BN_new(), BN_new()};
    return f->ctx && f->p && f->d && f->one && BN_one(f->one) == 1 && BN_set_bit(f->p, 255) == 1 &&
           BN_sub_word(f->p, 19) == 1 && BN_set_word(f->d, 121666) == 1 &&
           BN_mod_inverse(f->d, f->d, f->p, f->ctx) && BN_mul_word(f->d, 121665) == 1 &&
           BN_nnmod(f->d, f->d, f->p, f->ctx) == 1 && BN_sub(f->d, f->p, f->d) == 1;
}

static void field_done(struct field *f)
{
    BN_CTX_free(f->ctx);
    BN_free(f->p);
    BN_free(f->d);
    BN_free(f->one);
}

/* x² = (y² - 1) / (d·y² + 1), which is what the curve says; y2 is y². */
static bool x_squared(const struct field *f, const BIGNUM *y2, BIGNUM *x2)
{
    BIGNUM *below = BN_new();
    bool ok = below && BN_mod_mul(below, y2, f->d, f->p, f->ctx) == 1 &&
              BN_mod_add(below, below, f->one, f->p, f->ctx) == 1 &&
              BN_mod_inverse(below, below, f->p, f->ctx) &&
              BN_mod_sub(x2, y2, f->one, f->p, f->ctx) == 1 &&
              BN_mod_mul(x2, x2, below, f->p, f->ctx) == 1;

    BN_free(below);
    return ok;
}

/* Euler's criterion. */
static bool is_square(const struct field *f, const BIGNUM *n, bool *square)
{
    BIGNUM *half = BN_dup(f->p), *power = BN_new();
    bool ok = half && power && BN_sub_word(half, 1) == 1 && BN_rshift1(half, half) == 1 &&
              BN_mod_exp(power, n, half, f->p, f->ctx) == 1;

    *square = ok && (BN_is_zero(n) || BN_is_one(power));
    BN_free(half);
    BN_free(power);
    return ok;
}

/* The y of twice the point: (y² + x²) / (2 - y² + x²), for -x² + y² = 1 + d·x²·y². */
static bool twice(const struct field *f, BIGNUM *y)
{
    BIGNUM *x2 = BN_new(), *y2 = BN_new(), *below = BN_new();
    bool ok = x2 && y2 && below && BN_mod_sqr(y2, y, f->p, f->ctx) == 1 && x_squared(f, y2, x2) &&
              BN_mod_sub(below, x2, y2, f->p, f->ctx) == 1 && BN_add_word(below, 2) == 1 &&
              BN_mod_inverse(below, below, f->p, f->ctx) &&
              BN_mod_add(y, y2, x2, f->p, f->ctx) == 1 &&
              BN_mod_mul(y, y, below, f->p, f->ctx) == 1;

    BN_free(x2);
    BN_free(y2);
    BN_free(below);
    return ok;
}

/* On the curve, and eight times it is not the neutral point, whose y is 1. */
static bool judge_y(const struct field *f, BIGNUM *y, bool *on, bool *small)
{
    BIGNUM *x2 = BN_new(), *y2 = BN_new();
    bool ok = x2 && y2 && BN_mod_sqr(y2, y, f->p, f->ctx) == 1 && x_squared(f, y2, x2) &&
              is_square(f, x2, on);

    for (int i = 0; ok && *on && i < 3; i++)
        ok = twice(f, y);
    *small = ok && *on && BN_is_one(y);
    BN_free(x2);
    BN_free(y2);
    return ok;
}

int csr_weak_ed25519(const uint8_t key[32], struct error *err)
{
    struct field f;
    uint8_t bytes[32];
    BIGNUM *y;
    bool on = false, small = false, ok = field_init(&f);
    int rc = 0;

    memcpy(bytes, key, sizeof bytes);
    bytes[31] &= 0x7f; /* the sign of x */
    y = BN_lebin2bn(bytes, sizeof bytes, NULL);
    if (!ok || !y || (BN_cmp(y, f.p) < 0 && !judge_y(&f, y, &on, &small)))
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    else if (!on)
        rc = error_set(err, ERR_REFUSED, WHOSE " has a key that is no point of Ed25519");
    else if (small)
        rc = refuse_guessed(err);
    BN_free(y);
    field_done(&f);
    return rc;
}
