#include "manifests/platforms/formats.h"

#include <openssl/ec.h>
#include <stdio.h>
#include <string.h>

const struct export_format *const export_formats[] = {
    &platform_aws_iot,         &platform_aws_iot_no_ca,  &platform_azure_dps,
    &platform_azure_dps_group, &platform_azure_dps_keys, &platform_azure_iot_hub,
    &platform_espressif,       &platform_microchip,      &platform_nrf_cloud,
    &platform_opc_ua,          &platform_symmetric_keys, NULL};

const struct export_format *platform_find(const char *name)
{
    for (size_t i = 0; export_formats[i]; i++)
        if (strcmp(export_formats[i]->name, name) == 0)
            return export_formats[i];
    return NULL;
}

const char *platform_names(void)
{
    static char names[256];

    *names = 0;
    for (size_t i = 0; export_formats[i]; i++) {
        size_t len = strlen(names);

        snprintf(names + len, sizeof names - len, "%s%s", i ? ", " : "", export_formats[i]->name);
    }
    return names;
}

const char *platform_value(const struct platform_run *run, const char *name)
{
    const struct platform_setting *s = run->platform->settings;

    for (size_t i = 0; s && s[i].name; i++)
        if (strcmp(s[i].name, name) == 0)
            return run->values[i];
    return "";
}

static unsigned key_type(EVP_PKEY *key)
{
    char group[64] = "";

    if (!key)
        return 0;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return EVP_PKEY_get_bits(key) >= 2048 ? PLATFORM_RSA : 0;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1)
        return 0;
    return strcmp(group, SN_X9_62_prime256v1) == 0 ? PLATFORM_P256
           : strcmp(group, SN_secp384r1) == 0      ? PLATFORM_P384
           : strcmp(group, SN_secp521r1) == 0      ? PLATFORM_P521
                                                   : 0;
}

void platform_read_cn(X509 *cert, char *cn, size_t size)
{
    X509_NAME *name = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    const ASN1_STRING *text;

    *cn = 0;
    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
        return;
    text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    if ((size_t)ASN1_STRING_length(text) < size)
        snprintf(cn, size, "%.*s", ASN1_STRING_length(text),
                 (const char *)ASN1_STRING_get0_data(text));
}

const char *platform_refuses_certificate(const struct export_format *p, X509 *cert,
                                         const char *serial)
{
    char cn[129];

    if (!(key_type(X509_get0_pubkey(cert)) & p->keys))
        return "it does not take a key of this type";
    platform_read_cn(cert, cn, sizeof cn);
    if (p->names_by_cn && strcmp(cn, serial))
        return "it knows a device by the certificate's common name, and that is not the serial";
    return NULL;
}
