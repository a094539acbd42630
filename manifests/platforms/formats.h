/*
 * formats: the formats themselves, one file each, for the table in platforms.c alone.
 */
#ifndef MANIFESTS_PLATFORM_FORMATS_H
#define MANIFESTS_PLATFORM_FORMATS_H

#include "manifests/platforms/platform.h"

extern const struct export_format platform_aws_iot, platform_aws_iot_no_ca;
extern const struct export_format platform_azure_iot_hub, platform_azure_dps,
    platform_azure_dps_group;
extern const struct export_format platform_espressif;
extern const struct export_format platform_microchip;
extern const struct export_format platform_nrf_cloud;
extern const struct export_format platform_opc_ua;

#endif
