/* Damage to signatures, to the signed statement and to the checkpoint. */
#include "damage_catalogue.h"

#include "base/file.h"
#include "manifests/note.h"

#include <openssl/pem.h> /* first: cms.h declares its PEM functions only after this one */

#include <openssl/cms.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files, without any key ---- */

static void path_of(char out[PATH_MAX], const char *name)
{
    ASSERT_OK(file_join(out, PATH_MAX, two, name, &err), err);
}

static void cut_manifest(void)
{
    damage_cut(two, MANIFEST_NAME, 40);
}

static void empty_manifest(void)
{
    damage_write(two, MANIFEST_NAME, "");
}

static void empty_signature(void)
{
    damage_write(two, MANIFEST_SIGNATURE, "");
}

static void cut_signature(void)
{
    damage_cut(two, MANIFEST_SIGNATURE, 400);
}

/* As large as a disk, and no block of it is there. */
static void make_sparse(const char *name, off_t size)
{
    char path[PATH_MAX];

    path_of(path, name);
    ck_assert_int_eq(truncate(path, size), 0);
}

static void sparse_manifest(void)
{
    make_sparse(MANIFEST_NAME, (off_t)1 << 40);
}

static void sparse_signature(void)
{
    make_sparse(MANIFEST_SIGNATURE, (off_t)1 << 40);
}

static void sparse_records(void)
{
    make_sparse(DEVICES, (off_t)1 << 40);
}

static void sparse_checkpoint(void)
{
    make_sparse("checkpoint", (off_t)1 << 40);
}

static void manifest_is_a_link(void)
{
    damage_symlink(two, MANIFEST_NAME);
}

static void signature_is_a_link(void)
{
    damage_symlink(two, MANIFEST_SIGNATURE);
}

static void proofs_is_a_link(void)
{
    char path[PATH_MAX];

    path_of(path, "proofs");
    ck_assert_int_eq(symlink("/", path), 0);
}

static void checkpoint_is_a_folder(void)
{
    char path[PATH_MAX];

    damage_remove(two, "checkpoint");
    path_of(path, "checkpoint");
    ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void signature_in_capitals(void)
{
    damage_write(two, "manifest.json.RSA.p7s", "");
}

static void name_that_is_no_text(void)
{
    damage_write(two, "\xff\xfe", "");
}

static void remove_checkpoint(void)
{
    damage_remove(two, "checkpoint");
}

static void remove_chain(void)
{
    damage_remove(two, "chain.pem");
}

static void evidence_of_the_manifest_before(void)
{
    damage_copy(one, two, EVIDENCE);
}

/* ---- signatures ---- */

static CMS_ContentInfo *load_cms(void)
{
    char path[PATH_MAX];
    CMS_ContentInfo *cms;
    BIO *in;

    path_of(path, MANIFEST_SIGNATURE);
    in = BIO_new_file(path, "r");
    cms = PEM_read_bio_CMS(in, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(cms);
    BIO_free(in);
    return cms;
}

static void store_cms(CMS_ContentInfo *cms)
{
    char path[PATH_MAX];
    BIO *out;

    path_of(path, MANIFEST_SIGNATURE);
    out = BIO_new_file(path, "w");
    ck_assert_int_eq(PEM_write_bio_CMS(out, cms), 1);
    BIO_free(out);
    CMS_ContentInfo_free(cms);
}

static void signature_value_flipped(void)
{
    CMS_ContentInfo *cms = load_cms();
    CMS_SignerInfo *si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
    ASN1_OCTET_STRING *value = CMS_SignerInfo_get0_signature(si);
    uint8_t bytes[256];
    int len = ASN1_STRING_length(value);

    memcpy(bytes, ASN1_STRING_get0_data(value), (size_t)len);
    bytes[len - 1] ^= 1;
    ASN1_STRING_set(value, bytes, len);
    store_cms(cms);
}

static void signature_in_der(void)
{
    CMS_ContentInfo *cms = load_cms();
    char path[PATH_MAX];
    BIO *out;

    path_of(path, MANIFEST_SIGNATURE);
    out = BIO_new_file(path, "w");
    ck_assert_int_eq(i2d_CMS_bio(out, cms), 1);
    BIO_free(out);
    CMS_ContentInfo_free(cms);
}

/* Signs with stock CMS functions, which refuse less than cms_sign does. */
static void sign_freely(const struct signer *signer, const struct signer *second, const EVP_MD *md,
                        unsigned flags)
{
    CMS_ContentInfo *cms;
    char path[PATH_MAX];
    BIO *in;

    path_of(path, MANIFEST_NAME);
    in = BIO_new_file(path, "r");
    flags |= CMS_BINARY;
    cms = CMS_sign(NULL, NULL, NULL, in, flags | CMS_PARTIAL);
    ck_assert_ptr_nonnull(CMS_add1_signer(cms, signer->cert, signer->key, md, flags));
    if (second)
        ck_assert_ptr_nonnull(CMS_add1_signer(cms, second->cert, second->key, md, flags));
    (void)BIO_reset(in);
    ck_assert_int_eq(CMS_final(cms, in, NULL, flags), 1);
    BIO_free(in);
    store_cms(cms);
}

static void content_in_the_signature(void)
{
    sign_freely(&kit.signer, NULL, EVP_sha256(), CMS_CADES);
}

static void signed_with_sha512(void)
{
    sign_freely(&kit.signer, NULL, EVP_sha512(), CMS_CADES | CMS_DETACHED);
}

static void signed_twice(void)
{
    struct signer second;

    kit_signer_init(&kit, &(struct kit_signer){.from = -1, .until = 10}, &second);
    sign_freely(&kit.signer, &second, EVP_sha256(), CMS_CADES | CMS_DETACHED);
    kit_signer_done(&second);
}

static void signed_without_certificate_attribute(void)
{
    sign_freely(&kit.signer, NULL, EVP_sha256(), CMS_DETACHED);
}

static void signed_without_attributes(void)
{
    sign_freely(&kit.signer, NULL, EVP_sha256(), CMS_DETACHED | CMS_NOATTR);
}

static void sign_by(const struct kit_signer *what)
{
    struct signer signer;

    kit_signer_init(&kit, what, &signer);
    sign_freely(&signer, NULL, EVP_sha256(), CMS_CADES | CMS_DETACHED);
    kit_signer_done(&signer);
}

static void signer_expired(void)
{
    sign_by(&(struct kit_signer){.from = -20, .until = -10});
}

static void signer_not_yet_valid(void)
{
    sign_by(&(struct kit_signer){.from = 10, .until = 20});
}

static void signer_below_the_device_root(void)
{
    sign_by(&(struct kit_signer){.of_device_root = true, .from = -1, .until = 10});
}

static void signer_for_nothing_named(void)
{
    static const char *const plain[] = {"keyUsage", "critical,digitalSignature",
                                        "authorityKeyIdentifier", "keyid", NULL};

    sign_by(&(struct kit_signer){.from = -1, .until = 10, .extensions = plain});
}

static void signer_may_not_sign(void)
{
    static const char *const agree[] = {"keyUsage", "critical,keyAgreement", "extendedKeyUsage",
                                        "emailProtection", NULL};

    sign_by(&(struct kit_signer){.from = -1, .until = 10, .extensions = agree});
}

static void signer_is_a_ca(void)
{
    static const char *const ca[] = {
        "basicConstraints", "critical,CA:TRUE", "keyUsage", "critical,keyCertSign,digitalSignature",
        "extendedKeyUsage", "emailProtection",  NULL};

    sign_by(&(struct kit_signer){.from = -1, .until = 10, .extensions = ca});
}

static void signer_of_another_root(void)
{
    struct signer own = {.key = kit_key()};

    own.cert = kit_certificate(own.key, "Manifest Root", own.key, NULL, NULL);
    sign_freely(&own, NULL, EVP_sha256(), CMS_CADES | CMS_DETACHED);
    kit_signer_done(&own);
}

/* ---- the checkpoint, signed by the log key ---- */

static void sign_note(const char *text, EVP_PKEY *key)
{
    struct buf note;

    buf_init(&note, NOTE_MAX);
    ASSERT_OK(note_sign(text, strlen(text), KIT_ORIGIN, key, &note, &err), err);
    buf_put_u8(&note, 0);
    damage_write(two, "checkpoint", (char *)note.data);
    buf_done(&note);
}

#define OTHER_ROOT "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void equivocating_checkpoint(void)
{
    sign_note(KIT_ORIGIN "\n9\n" OTHER_ROOT "\n", kit.log_key);
}

static off_t size_of_checkpoint(void)
{
    char path[PATH_MAX];
    struct stat st;

    path_of(path, "checkpoint");
    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_size;
}

/* Signatures have two lengths in base64; of another one it would be refused for its size. */
static void checkpoint_of_the_manifest_before(void)
{
    off_t size = size_of_checkpoint();
    struct buf note;
    char *text;

    buf_init(&note, NOTE_MAX);
    ASSERT_OK(folder_read(one, "checkpoint", &note, &err), err);
    buf_put_u8(&note, 0);
    text = (char *)note.data;
    strstr(text, "\n\n")[1] = 0;
    do
        sign_note(text, kit.log_key);
    while (size_of_checkpoint() != size);
    buf_done(&note);
}

static void checkpoint_of_a_larger_log(void)
{
    sign_note(KIT_ORIGIN "\n10\n" OTHER_ROOT "\n", kit.log_key);
}

static void checkpoint_of_another_log(void)
{
    sign_note("other.example/wl\n9\n" OTHER_ROOT "\n", kit.log_key);
}

static void checkpoint_with_a_fourth_line(void)
{
    sign_note(KIT_ORIGIN "\n9\n" OTHER_ROOT "\nmore\n", kit.log_key);
}

static void checkpoint_with_a_padded_number(void)
{
    sign_note(KIT_ORIGIN "\n09\n" OTHER_ROOT "\n", kit.log_key);
}

static void checkpoint_with_a_huge_number(void)
{
    sign_note(KIT_ORIGIN "\n99999999999999999999999999\n" OTHER_ROOT "\n", kit.log_key);
}

static void checkpoint_with_a_short_root(void)
{
    sign_note(KIT_ORIGIN "\n9\nAAAA\n", kit.log_key);
}

static void checkpoint_unsigned(void)
{
    damage_write(two, "checkpoint", KIT_ORIGIN "\n9\n" OTHER_ROOT "\n");
}

static void checkpoint_with_empty_signature(void)
{
    damage_write(two, "checkpoint",
                 KIT_ORIGIN "\n9\n" OTHER_ROOT "\n\n\xe2\x80\x94 " KIT_ORIGIN " \n");
}

static void checkpoint_with_a_second_signature(void)
{
    struct buf note;
    char *line, again[512];
    size_t len;

    buf_init(&note, NOTE_MAX);
    ASSERT_OK(folder_read(two, "checkpoint", &note, &err), err);
    buf_put_u8(&note, 0);
    line = strstr((char *)note.data, "\n\n") + 2;
    len = strlen(line);
    memcpy(again, line, len + 1);
    again[len - 8] = again[len - 8] == 'A' ? 'B' : 'A'; /* the same key, another signature */
    damage_append(two, "checkpoint", again);
    buf_done(&note);
}

static void checkpoint_with_carriage_returns(void)
{
    damage_replace(two, "checkpoint", "\n9\n", "\r\n9\r\n");
}

/* ---- the statement, in bytes that no writer writes ---- */

static void nested(char *out, size_t size, size_t depth)
{
    size_t at = (size_t)snprintf(out, size, "\"ext\":{\"d\":");

    memset(out + at, '[', depth);
    memset(out + at + depth, ']', depth);
    snprintf(out + at + 2 * depth, size - at - 2 * depth, "},\"files\"");
}

static void nested_eight_deep(void)
{
    char ext[128];

    nested(ext, sizeof ext, 8);
    damage_replace(two, MANIFEST_NAME, "\"files\"", ext);
}

static void nested_without_end(void)
{
    static char ext[300100];

    nested(ext, sizeof ext, 150000);
    damage_replace(two, MANIFEST_NAME, "\"files\"", ext);
}

static void statement_is_a_list(void)
{
    damage_write(two, MANIFEST_NAME, "[]\n");
}

static void statement_is_empty(void)
{
    damage_write(two, MANIFEST_NAME, "{}\n");
}

static void statement_with_a_byte_order_mark(void)
{
    damage_replace(two, MANIFEST_NAME, "{\"count\"", "\xef\xbb\xbf{\"count\"");
}

static void statement_is_cut(void)
{
    damage_cut(two, MANIFEST_NAME, 3);
}

static void listed_file_with_a_long_name(void)
{
    damage_replace(
        two, MANIFEST_NAME, "\"name\":\"chain.pem\"",
        "\"name\":\"c0123456789012345678901234567890123456789012345678901234567890123\"");
}

#define SEQ "\"seq\":2,\"size\""
#define M   MANIFEST_NAME

const struct damage damage_signed[] = {
    {D(cut_manifest), 0, ERR_SIGNATURE, "does not verify"},
    {D(empty_manifest), 0, ERR_SIGNATURE, "does not verify"},
    {D(empty_signature), 0, ERR_FORMAT, "not CMS"},
    {D(cut_signature), 0, ERR_FORMAT, "not CMS"},
    {D(sparse_manifest), 0, ERR_FORMAT, "larger than"},
    {D(sparse_signature), 0, ERR_FORMAT, "larger than"},
    {D(sparse_records), 0, ERR_INTEGRITY, "1099511627776 bytes where"},
    {D(sparse_checkpoint), 0, ERR_INTEGRITY, "1099511627776 bytes where"},
    {D(manifest_is_a_link), 0, ERR_INTEGRITY, "symbolic link"},
    {D(signature_is_a_link), 0, ERR_INTEGRITY, "symbolic link"},
    {D(proofs_is_a_link), 0, ERR_INTEGRITY, "not listed"},
    {D(checkpoint_is_a_folder), 0, ERR_INTEGRITY, "not a regular file"},
    {D(signature_in_capitals), 0, ERR_INTEGRITY, "not listed"},
    {D(name_that_is_no_text), 0, ERR_INTEGRITY, "not listed"},
    {D(remove_checkpoint), 0, ERR_INCOMPLETE, "is missing"},
    {D(remove_chain), 0, ERR_INCOMPLETE, "is missing"},
    {D(checkpoint_of_the_manifest_before), 0, ERR_INTEGRITY, "checkpoint"},
    {D(evidence_of_the_manifest_before), 0, ERR_INTEGRITY, EVIDENCE},

    {D(signature_value_flipped), 0, ERR_SIGNATURE, "does not verify"},
    {D(signature_in_der), 0, ERR_FORMAT, "not CMS"},
    {D(content_in_the_signature), 0, ERR_FORMAT, "detached"},
    {D(signed_with_sha512), 0, ERR_FORMAT, "SHA-256"},
    {D(signed_twice), 0, ERR_FORMAT, "one SHA-256 signer"},
    {D(signed_without_certificate_attribute), 0, ERR_SIGNATURE, "signing certificate"},
    {D(signed_without_attributes), 0, ERR_SIGNATURE, "signing certificate"},
    {D(signer_expired), 0, ERR_SIGNATURE, "has expired"},
    {D(signer_not_yet_valid), 0, ERR_SIGNATURE, "not yet valid"},
    {D(signer_below_the_device_root), 0, ERR_SIGNATURE, "local issuer"},
    {D(signer_for_nothing_named), 0, ERR_SIGNATURE, "not one of a manifest signer"},
    {D(signer_may_not_sign), 0, ERR_SIGNATURE, ""},
    {D(signer_is_a_ca), 0, ERR_SIGNATURE, "not one of a manifest signer"},
    {D(signer_of_another_root), 0, ERR_SIGNATURE, ""},

    {D(equivocating_checkpoint), ALL_FILES, ERR_INTEGRITY, "two roots"},
    {D(checkpoint_of_a_larger_log), ALL_FILES, ERR_INTEGRITY, "size 10"},
    {D(checkpoint_of_another_log), ALL_FILES, ERR_INTEGRITY, "other.example"},
    {D(checkpoint_with_a_fourth_line), ALL_FILES, ERR_FORMAT, "checkpoint"},
    {D(checkpoint_with_a_padded_number), ALL_FILES, ERR_FORMAT, "checkpoint"},
    {D(checkpoint_with_a_huge_number), ALL_FILES, ERR_FORMAT, "checkpoint"},
    {D(checkpoint_with_a_short_root), ALL_FILES, ERR_FORMAT, "checkpoint"},
    {D(checkpoint_unsigned), ALL_FILES, ERR_FORMAT, "checkpoint"},
    {D(checkpoint_with_empty_signature), ALL_FILES, ERR_FORMAT, "signature line 1"},
    {D(checkpoint_with_a_second_signature), ALL_FILES, ERR_SIGNATURE, "does not verify"},
    {D(checkpoint_with_carriage_returns), ALL_FILES, ERR_FORMAT, ""},

    {E(number_beyond_doubles, M, SEQ, "\"seq\":1e999,\"size\""), KIT_RAW, ERR_FORMAT, "real"},
    {E(number_of_a_hundred_digits, M, SEQ,
       "\"seq\":1111111111111111111111111111111111111111111111111111111111111111111111111111111,"
       "\"size\""),
     KIT_RAW, ERR_FORMAT, "integer"},
    {E(number_that_doubles_round, M, SEQ, "\"seq\":9007199254740993,\"size\""), KIT_RAW, ERR_FORMAT,
     "'seq'"},
    {E(number_with_a_fraction, M, SEQ, "\"seq\":2.0,\"size\""), KIT_RAW, ERR_FORMAT, "'seq'"},
    {E(number_with_an_exponent, M, SEQ, "\"seq\":2e0,\"size\""), KIT_RAW, ERR_FORMAT, "'seq'"},
    {E(number_with_a_leading_zero, M, SEQ, "\"seq\":02,\"size\""), KIT_RAW, ERR_FORMAT, "token"},
    {E(number_is_negative, M, "\"count\":3", "\"count\":-3"), KIT_RAW, ERR_FORMAT, "'count'"},
    {E(number_is_negative_zero, M, "\"burned\":1", "\"burned\":-0"), KIT_RAW, ERR_FORMAT, ""},
    {E(number_is_a_text, M, SEQ, "\"seq\":\"2\",\"size\""), KIT_RAW, ERR_FORMAT, "'seq'"},
    {E(text_is_not_utf8, M, "\"customer\":\"E", "\"customer\":\"\xff"), KIT_RAW, ERR_FORMAT,
     "unable to decode"},
    {E(text_is_not_ascii, M, "\"customer\":\"E", "\"customer\":\"\xc3\x89"), KIT_RAW, ERR_FORMAT,
     "'customer'"},
    {E(text_with_a_nul, M, "\"customer\":\"E", "\"customer\":\"\\u0000"), KIT_RAW, ERR_FORMAT,
     "\\u0000"},
    {E(text_with_a_lone_surrogate, M, "\"customer\":\"E", "\"customer\":\"\\ud800"), KIT_RAW,
     ERR_FORMAT, "\\uD800"},
    {E(text_escaped_for_nothing, M, "\"customer\":\"E", "\"customer\":\"\\u0045"), KIT_RAW,
     ERR_FORMAT, "canonical"},
    {E(text_is_empty, M, "\"station\":\"line1\"", "\"station\":\"\""), KIT_RAW, ERR_FORMAT,
     "'station'"},
    {E(text_is_too_long, M, "\"environment\":\"development\"",
       "\"environment\":\"development-and-more\""),
     KIT_RAW, ERR_FORMAT, "'environment'"},
    {D(nested_eight_deep), KIT_RAW, ERR_FORMAT, ""},
    {D(nested_without_end), KIT_RAW, ERR_FORMAT, "depth"},
    {D(statement_is_a_list), KIT_RAW, ERR_FORMAT, "not a JSON object"},
    {D(statement_is_empty), KIT_RAW, ERR_FORMAT, ""},
    {D(statement_with_a_byte_order_mark), KIT_RAW, ERR_FORMAT, ""},
    {D(statement_is_cut), KIT_RAW, ERR_FORMAT, ""},
    {E(member_missing, M, "\"customer\":\"Example Infusion Ltd\",", ""), KIT_RAW, ERR_FORMAT,
     "'customer'"},
    {E(member_is_null, M, "\"station\":\"line1\"", "\"station\":null"), KIT_RAW, ERR_FORMAT,
     "'station'"},
    {E(files_is_an_object, M, "\"files\":[", "\"files\":{},\"form\":["), KIT_RAW, ERR_FORMAT,
     "'files'"},
    {E(file_named_up, M, "\"name\":\"chain.pem\"", "\"name\":\"..\""), KIT_RAW, ERR_FORMAT, "'..'"},
    {E(file_in_a_folder, M, "\"name\":\"chain.pem\"", "\"name\":\"a/chain.pem\""), KIT_RAW,
     ERR_FORMAT, "'a/chain.pem'"},
    {E(file_from_the_top, M, "\"name\":\"chain.pem\"", "\"name\":\"/etc/passwd\""), KIT_RAW,
     ERR_FORMAT, "'/etc/passwd'"},
    {E(file_with_a_backslash, M, "\"name\":\"chain.pem\"", "\"name\":\"..\\\\chain.pem\""), KIT_RAW,
     ERR_FORMAT, "chain.pem'"},
    {E(file_that_hides, M, "\"name\":\"chain.pem\"", "\"name\":\".chain.pem\""), KIT_RAW,
     ERR_FORMAT, "'.chain.pem'"},
    {D(listed_file_with_a_long_name), KIT_RAW, ERR_FORMAT, "'name'"},
    {E(file_that_is_the_manifest, M, "\"name\":\"evidence-00000.jsonl\"",
       "\"name\":\"manifest.json\""),
     KIT_RAW, ERR_FORMAT, "manifest.json"},
    {E(hash_in_capitals, M, "\"name\":\"checkpoint\",\"sha256\":\"",
       "\"name\":\"checkpoint\",\"sha256\":\"A"),
     KIT_RAW, ERR_FORMAT, "'sha256'"},
    {E(root_without_padding, M, "=\",\"seq\":2", "\",\"seq\":2"), KIT_RAW, ERR_FORMAT, "'root'"},
    {E(root_too_long, M, "\"root\":\"", "\"root\":\"AAAA"), KIT_RAW, ERR_FORMAT, "'root'"},
    {E(origin_with_a_blank, M, "factory.example/wl", "factory example/wl"), KIT_RAW, ERR_FORMAT,
     "log name"},
    {E(created_in_a_zone, M, "Z\",\"customer\"", "+01:00\",\"customer\""), KIT_RAW, ERR_FORMAT,
     "'created'"},
    {E(totals_negative, M, "\"burned\":1,\"good\":4", "\"burned\":-1,\"good\":6"), KIT_RAW,
     ERR_FORMAT, "'burned'"},
    {E(totals_without_a_count, M, "\"unresolved\":0,", ""), KIT_RAW, ERR_FORMAT, "'unresolved'"},
    {E(order_too_short, M, "\"totals\":{\"3e", "\"totals\":{\""), KIT_RAW, ERR_FORMAT, "order"},
    {E(predecessor_without_root, M, "\"seq\":1,\"sha256\"", "\"sha256\""), KIT_RAW, ERR_FORMAT,
     "'seq'"},
    {E(predecessor_is_a_number, M, "\"prev\":{\"frontier\":", "\"prev\":1,\"q\":{\"frontier\":"),
     KIT_RAW, ERR_FORMAT, "'prev'"},
    {E(critical_without_extension, M, "\"customer\"", "\"crit\":[\"f\"],\"customer\""), KIT_RAW,
     ERR_FORMAT, "crit"},
    {E(extension_is_a_list, M, "\"files\"", "\"ext\":[],\"files\""), KIT_RAW, ERR_FORMAT, "ext"},
};

const size_t damage_signed_count = sizeof damage_signed / sizeof *damage_signed;
