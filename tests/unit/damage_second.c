/* Damage to the signatures beside manifest.json.p7s. */
#include "damage_catalogue.h"
#include "second_signature.h"

#include "base/file.h"

#include <openssl/pem.h> /* first: cms.h declares its PEM functions only after this one */

#include <openssl/cms.h>
#include <string.h>

#define P384 .name = CMS_ECDSA_P384
#define PSS  .name = CMS_RSA_PSS_3072

#define SIGNED(function, ...)                                                                      \
    static void function(void)                                                                     \
    {                                                                                              \
        second_sign(two, &(struct second){__VA_ARGS__});                                           \
    }

SIGNED(second_over_the_manifest_before, P384, .content = one)
SIGNED(second_of_a_smaller_curve, P384, .key = "P-256")
SIGNED(second_with_a_smaller_hash, P384, .md = EVP_sha256())
SIGNED(second_of_the_other_kind, P384, .key = "3072")
SIGNED(second_below_the_device_root, P384, .of_device_ca = true)
SIGNED(second_of_no_manifest_signer, P384, .no_email = true)
SIGNED(second_that_names_no_certificate, P384, .no_attribute = true)
SIGNED(second_of_an_expired_signer, P384, .expired = true)
SIGNED(rsa_without_pss, PSS, .salt = -1)
SIGNED(rsa_with_a_short_salt, PSS, .salt = 20)
SIGNED(rsa_with_a_short_key, PSS, .key = "2048")
SIGNED(rsa_with_another_hash, PSS, .md = EVP_sha384())

static void second_is_empty(void)
{
    damage_write(two, second_name(CMS_ECDSA_P384), "");
}

static void second_is_cut(void)
{
    second_sign_all(two);
    damage_cut(two, second_name(CMS_RSA_PSS_3072), 400);
}

static void second_is_a_link(void)
{
    second_sign_all(two);
    damage_symlink(two, second_name(CMS_ECDSA_P384));
}

/* A second signature of the first key says nothing more. */
static void second_is_the_first(void)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct buf bytes;

    buf_init(&bytes, 1 << 20);
    ASSERT_OK(file_join(from, sizeof from, two, MANIFEST_SIGNATURE, &err), err);
    ASSERT_OK(file_join(to, sizeof to, two, second_name(CMS_ECDSA_P256), &err), err);
    ASSERT_OK(file_read(from, &bytes, &err), err);
    ASSERT_OK(file_write(to, bytes.data, bytes.len, 0644, &err), err);
    buf_done(&bytes);
}

static void second_with_a_flipped_bit(void)
{
    char path[PATH_MAX];
    CMS_ContentInfo *cms;
    ASN1_OCTET_STRING *value;
    BIO *file;

    second_sign_all(two);
    ASSERT_OK(file_join(path, sizeof path, two, second_name(CMS_RSA_PSS_3072), &err), err);
    file = BIO_new_file(path, "r");
    cms = PEM_read_bio_CMS(file, NULL, NULL, NULL);
    BIO_free(file);
    value = CMS_SignerInfo_get0_signature(sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0));
    value->data[value->length - 1] ^= 1;
    file = BIO_new_file(path, "w");
    ck_assert_int_eq(PEM_write_bio_CMS(file, cms), 1);
    BIO_free(file);
    CMS_ContentInfo_free(cms);
}

const struct damage damage_second[] = {
    {D(second_over_the_manifest_before), 0, ERR_SIGNATURE, "ecdsa-p384.p7s"},
    {D(second_of_a_smaller_curve), 0, ERR_SIGNATURE, "key is not one of ecdsa-p384"},
    {D(second_with_a_smaller_hash), 0, ERR_FORMAT, "SHA-384"},
    {D(second_of_the_other_kind), 0, ERR_SIGNATURE, "not one of ecdsa-p384"},
    {D(second_below_the_device_root), 0, ERR_SIGNATURE, "pinned"},
    {D(second_of_no_manifest_signer), 0, ERR_SIGNATURE, "ecdsa-p384.p7s"},
    {D(second_that_names_no_certificate), 0, ERR_SIGNATURE, "CAdES"},
    {D(second_of_an_expired_signer), 0, ERR_SIGNATURE, "expired"},
    {D(rsa_without_pss), 0, ERR_SIGNATURE, "not one of rsa-pss-3072"},
    {D(rsa_with_a_short_salt), 0, ERR_SIGNATURE, "not one of rsa-pss-3072"},
    {D(rsa_with_a_short_key), 0, ERR_SIGNATURE, "key is not one of rsa-pss-3072"},
    {D(rsa_with_another_hash), 0, ERR_FORMAT, "SHA-256"},
    {D(second_is_empty), 0, ERR_FORMAT, "ecdsa-p384.p7s"},
    {D(second_is_cut), 0, ERR_FORMAT, "rsa-pss-3072.p7s"},
    {D(second_is_a_link), 0, ERR_INTEGRITY, "ecdsa-p384.p7s"},
    {D(second_is_the_first), 0, ERR_SIGNATURE, "nothing more"},
    {D(second_with_a_flipped_bit), 0, ERR_SIGNATURE, "rsa-pss-3072.p7s"},
};
const size_t damage_second_count = sizeof damage_second / sizeof *damage_second;
