/* docs/hsm.md prints the policy of every key: the tables there are those that the code works by. */
#include "check_util.h"

#include "base/buf.h"
#include "base/file.h"
#include "hsm/policy.h"

#include <stdio.h>
#include <string.h>

#define DOC_MAX 200000

struct name {
    CK_ATTRIBUTE_TYPE type; /* of which attribute the value is */
    CK_ULONG value;
    const char *text;
};

static const struct name names[] = {
    {CKA_CLASS, CKO_PUBLIC_KEY, "CKO_PUBLIC_KEY"},
    {CKA_CLASS, CKO_PRIVATE_KEY, "CKO_PRIVATE_KEY"},
    {CKA_CLASS, CKO_SECRET_KEY, "CKO_SECRET_KEY"},
    {CKA_KEY_TYPE, CKK_EC, "CKK_EC"},
    {CKA_KEY_TYPE, CKK_AES, "CKK_AES"},
    {CKA_KEY_TYPE, CKK_GENERIC_SECRET, "CKK_GENERIC_SECRET"},
    {CKA_VALUE_LEN, 32, "32"},
    {CKA_ALLOWED_MECHANISMS, CKM_ECDSA, "{CKM_ECDSA}"},
    {CKA_ALLOWED_MECHANISMS, CKM_SHA256_HMAC, "{CKM_SHA256_HMAC}"},
    {CKA_ALLOWED_MECHANISMS, CKM_HKDF_DERIVE, "{CKM_HKDF_DERIVE}"},
    {CKA_ALLOWED_MECHANISMS, CKM_ECDH1_DERIVE, "{CKM_ECDH1_DERIVE}"},
    {CKA_ALLOWED_MECHANISMS, CKM_AES_ECB_ENCRYPT_DATA, "{CKM_AES_ECB_ENCRYPT_DATA}"},
};

static const struct {
    const char *title;
    const struct policy_row *rows;
} tables[] = {
    {"Signing key, private half", policy_signing_private},
    {"Signing key, public half", policy_signing_public},
    {"ledger-hmac, and derivation-master of a token that only makes MACs", policy_hmac},
    {"derivation-master of a token that derives", policy_derivation},
    {"Storage key", policy_storage},
    {"Anchor", policy_anchor},
    {"Mark", policy_mark},
    {"Device key, private half, when made", policy_device_private},
    {"Device key that signs a request, private half, when made", policy_asking_private},
    {"Device key, public half, when made", policy_device_public},
    {"Device key, unwrapped", policy_unwrapped},
    {"Ephemeral key, private half", policy_ephemeral_private},
    {"Ephemeral key, public half", policy_ephemeral_public},
    {"Shared secret Z (suite 1)", policy_shared_secret},
    {"Key encryption key of a private key", policy_kek},
    {"Key encryption key of a symmetric key", policy_kek_symmetric},
    {"Symmetric device key, derived", policy_derived},
    {"Symmetric device key, put in", policy_derived_value},
};

static const char *attribute_name(CK_ATTRIBUTE_TYPE type)
{
    switch (type) {
    case CKA_CLASS:
        return "CKA_CLASS";
    case CKA_KEY_TYPE:
        return "CKA_KEY_TYPE";
    case CKA_TOKEN:
        return "CKA_TOKEN";
    case CKA_PRIVATE:
        return "CKA_PRIVATE";
    case CKA_SENSITIVE:
        return "CKA_SENSITIVE";
    case CKA_EXTRACTABLE:
        return "CKA_EXTRACTABLE";
    default:
        ck_abort_msg("attribute 0x%lx has no name here", type);
    }
}

static void put_value(struct buf *out, CK_ATTRIBUTE_TYPE type, const void *value, CK_ULONG len)
{
    CK_ULONG number;

    if (type == CKA_EC_PARAMS) {
        buf_put_str(out, "prime256v1");
    } else if (len == sizeof(CK_BBOOL)) {
        buf_put_str(out, *(const CK_BBOOL *)value ? "true" : "false");
    } else {
        ck_assert_uint_eq(len, sizeof number);
        memcpy(&number, value, sizeof number);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (names[i].type == type && names[i].value == number) {
                buf_put_str(out, names[i].text);
                return;
            }
        ck_abort_msg("value 0x%lx of attribute 0x%lx has no name here", number, type);
    }
}

static void put_nested(struct buf *out, const struct policy_row *row)
{
    const CK_ATTRIBUTE *list = row->value;

    for (CK_ULONG i = 0; i < row->len / sizeof *list; i++) {
        buf_printf(out, "%s%s=", i ? ", " : "{", attribute_name(list[i].type));
        put_value(out, list[i].type, list[i].pValue, list[i].ulValueLen);
    }
    buf_put_str(out, "}");
}

static void put_table(struct buf *out, const char *title, const struct policy_row *rows)
{
    buf_printf(out, "### %s\n\n| attribute | value | |\n|---|---|---|\n", title);
    for (; rows->name; rows++) {
        bool set = rows->use & USE_SET, read = rows->use & USE_READ;

        buf_printf(out, "| `%s` | ", rows->name);
        if (rows->use & USE_LABEL)
            buf_put_str(out, "its label");
        else if (rows->use & USE_ID)
            buf_put_str(out, "its id");
        else if (rows->use & USE_MECHANISM)
            buf_put_str(out, "{the token's RFC 5649 mechanism}");
        else if (rows->use & USE_POINT)
            buf_put_str(out, "the public point, if the token unwraps no key without it");
        else if (rows->use & USE_VALUE)
            buf_put_str(out, "the key");
        else if (rows->use & USE_NESTED)
            put_nested(out, rows);
        else if (!rows->value)
            buf_put_str(out,
                        rows->type == CKA_MODULUS_BITS ? "of RSA: 2048 or 3072" : "of RSA: 65537");
        else
            put_value(out, rows->type, rows->value, rows->len);
        buf_printf(out, " | %s |\n", set && read ? "set, read back" : set ? "set" : "read back");
    }
    buf_put_u8(out, 0);
}

START_TEST(the_tables_of_the_documentation_are_those_of_the_code)
{
    struct error err = ERROR_INIT;
    struct buf doc;

    buf_init(&doc, DOC_MAX);
    ASSERT_OK(file_read(IMPRINT_DOCS "/hsm.md", &doc, &err), err);
    buf_put_u8(&doc, 0);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        struct buf table;

        buf_init(&table, DOC_MAX);
        put_table(&table, tables[i].title, tables[i].rows);
        ck_assert(!buf_failed(&table));
        ck_assert_msg(strstr((char *)doc.data, (char *)table.data) != NULL,
                      "docs/hsm.md does not have this table, change it together with policy.c:\n%s",
                      (char *)table.data);
        buf_done(&table);
    }
    buf_done(&doc);
}
END_TEST

static const char *title_of(const struct policy_row *rows)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (tables[i].rows == rows)
            return tables[i].title;
    return "all";
}

START_TEST(the_documentation_has_every_exception_and_no_other)
{
    static const char head[] = "| module | key | attribute | |\n|---|---|---|---|\n";
    struct error err = ERROR_INIT;
    struct buf doc, table;

    buf_init(&doc, DOC_MAX);
    buf_init(&table, DOC_MAX);
    ASSERT_OK(file_read(IMPRINT_DOCS "/hsm.md", &doc, &err), err);
    buf_put_u8(&doc, 0);
    buf_put_str(&table, head);
    for (const struct policy_exception *e = policy_exceptions; e->name; e++)
        buf_printf(&table, "| %s | %s | `%s` | %s |\n",
                   e->dialect == DIALECT_NSS ? "NSS softokn" : "tpm2-pkcs11", title_of(e->rows),
                   e->name, e->meaning);
    buf_put_str(&table, "\n");
    buf_put_u8(&table, 0);
    ck_assert_msg(strstr((char *)doc.data, (char *)table.data) != NULL,
                  "docs/hsm.md does not have this table:\n%s", (char *)table.data);
    buf_done(&doc);
    buf_done(&table);
}
END_TEST

START_TEST(a_token_of_no_known_kind_is_held_to_every_row)
{
    ck_assert_int_eq(policy_dialect("SoftHSM"), DIALECT_STRICT);
    ck_assert_int_eq(policy_dialect("Mozilla Foundation 2"), DIALECT_STRICT);
    ck_assert_int_eq(policy_dialect(""), DIALECT_STRICT);
    ck_assert_int_eq(policy_dialect("Mozilla Foundation"), DIALECT_NSS);
    ck_assert_int_eq(policy_dialect("tpm2-software.github.io"), DIALECT_TPM2);
    for (const struct policy_exception *e = policy_exceptions; e->name; e++)
        ck_assert_int_ne(e->dialect, DIALECT_STRICT);
}
END_TEST

START_TEST(the_documentation_names_every_long_lived_key)
{
    struct error err = ERROR_INIT;
    struct buf doc;

    buf_init(&doc, DOC_MAX);
    ASSERT_OK(file_read(IMPRINT_DOCS "/hsm.md", &doc, &err), err);
    buf_put_u8(&doc, 0);
    for (enum hsm_key key = 0; key < HSM_KEY_COUNT; key++) {
        char cell[64];

        snprintf(cell, sizeof cell, "| `%s` |", hsm_key_label(key));
        ck_assert_msg(strstr((char *)doc.data, cell) != NULL, "%s", cell);
    }
    ck_assert_ptr_nonnull(strstr((char *)doc.data, "| `ia1:<sequence>:<head>` (two) |"));
    ck_assert_ptr_nonnull(strstr((char *)doc.data, "| `storage:ec:<16 hex digits>` |"));
    buf_done(&doc);
}
END_TEST

static const struct policy_row *find_row(const struct policy_row *rows, CK_ATTRIBUTE_TYPE type)
{
    for (; rows->name; rows++)
        if (rows->type == type)
            return rows;
    return NULL;
}

START_TEST(only_device_keys_are_extractable_and_all_that_is_secret_is_sensitive)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const struct policy_row *rows = tables[i].rows;
        bool public = rows == policy_signing_public || rows == policy_device_public ||
                      rows == policy_ephemeral_public;
        bool device = rows == policy_device_private || rows == policy_asking_private ||
                      rows == policy_unwrapped || rows == policy_derived ||
                      rows == policy_derived_value;
        const struct policy_row *extractable = find_row(rows, CKA_EXTRACTABLE),
                                *sensitive = find_row(rows, CKA_SENSITIVE);

        ck_assert_msg(public == (extractable == NULL) && public == (sensitive == NULL), "%s",
                      tables[i].title);
        if (public)
            continue;
        ck_assert_msg(*(const CK_BBOOL *)extractable->value == device, "%s", tables[i].title);
        ck_assert_msg(*(const CK_BBOOL *)sensitive->value == CK_TRUE, "%s", tables[i].title);
    }
}
END_TEST

CHECK_MAIN("policy", the_tables_of_the_documentation_are_those_of_the_code,
           the_documentation_has_every_exception_and_no_other,
           a_token_of_no_known_kind_is_held_to_every_row,
           the_documentation_names_every_long_lived_key,
           only_device_keys_are_extractable_and_all_that_is_secret_is_sensitive)
