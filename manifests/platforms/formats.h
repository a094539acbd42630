/*
 * formats: the formats themselves, one file each, for the table in platforms.c alone.
 */
#ifndef MANIFESTS_PLATFORM_FORMATS_H
#define MANIFESTS_PLATFORM_FORMATS_H

#include "manifests/platforms/platform.h"

extern const struct export_format platform_aws_iot, platform_aws_iot_no_ca;
extern const struct export_format platform_azure_iot_hub, platform_azure_dps,
    platform_azure_dps_group;
extern const struct export_format platform_azure_dps_keys, platform_symmetric_keys;
extern const struct export_format platform_espressif;
extern const struct export_format platform_microchip;
extern const struct export_format platform_nrf_cloud;
extern const struct export_format platform_opc_ua;

/* What the two formats of Azure DPS have in common: the rule of serials, an enrolment up to the type of
 * its attestation, and the end. */
const char *azure_dps_refuses(const char *serial);
void azure_dps_open(struct buf *out, const char *serial, uint64_t n);
void azure_dps_tail(uint64_t count, struct buf *out);

#endif
