#include "manifests/platforms/formats.h"

#include <stdio.h>
#include <string.h>

const struct platform *const platforms[] = {
    &platform_aws_iot, &platform_aws_iot_no_ca, &platform_azure_dps, &platform_azure_dps_group,
    &platform_azure_iot_hub, &platform_espressif, &platform_microchip, &platform_nrf_cloud,
    &platform_opc_ua, NULL};

const struct platform *platform_find(const char *name)
{
    for (size_t i = 0; platforms[i]; i++)
        if (strcmp(platforms[i]->name, name) == 0)
            return platforms[i];
    return NULL;
}

const char *platform_names(void)
{
    static char names[256];

    *names = 0;
    for (size_t i = 0; platforms[i]; i++) {
        size_t len = strlen(names);

        snprintf(names + len, sizeof names - len, "%s%s", i ? ", " : "", platforms[i]->name);
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
