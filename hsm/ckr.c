#include "hsm/module.h"

#include <stdarg.h>
#include <stdio.h>

#define CKR_ROW(name)                                                                              \
    {                                                                                              \
        name, #name                                                                                \
    }

static const struct {
    CK_RV rv;
    const char *name;
} ckr_table[] = {
    CKR_ROW(CKR_OK),
    CKR_ROW(CKR_CANCEL),
    CKR_ROW(CKR_HOST_MEMORY),
    CKR_ROW(CKR_SLOT_ID_INVALID),
    CKR_ROW(CKR_GENERAL_ERROR),
    CKR_ROW(CKR_FUNCTION_FAILED),
    CKR_ROW(CKR_ARGUMENTS_BAD),
    CKR_ROW(CKR_CANT_LOCK),
    CKR_ROW(CKR_ATTRIBUTE_READ_ONLY),
    CKR_ROW(CKR_ATTRIBUTE_SENSITIVE),
    CKR_ROW(CKR_ATTRIBUTE_TYPE_INVALID),
    CKR_ROW(CKR_ATTRIBUTE_VALUE_INVALID),
    CKR_ROW(CKR_ACTION_PROHIBITED),
    CKR_ROW(CKR_DATA_INVALID),
    CKR_ROW(CKR_DATA_LEN_RANGE),
    CKR_ROW(CKR_DEVICE_ERROR),
    CKR_ROW(CKR_DEVICE_MEMORY),
    CKR_ROW(CKR_DEVICE_REMOVED),
    CKR_ROW(CKR_ENCRYPTED_DATA_INVALID),
    CKR_ROW(CKR_ENCRYPTED_DATA_LEN_RANGE),
    CKR_ROW(CKR_FUNCTION_NOT_SUPPORTED),
    CKR_ROW(CKR_KEY_HANDLE_INVALID),
    CKR_ROW(CKR_KEY_SIZE_RANGE),
    CKR_ROW(CKR_KEY_TYPE_INCONSISTENT),
    CKR_ROW(CKR_KEY_FUNCTION_NOT_PERMITTED),
    CKR_ROW(CKR_KEY_NOT_WRAPPABLE),
    CKR_ROW(CKR_KEY_UNEXTRACTABLE),
    CKR_ROW(CKR_MECHANISM_INVALID),
    CKR_ROW(CKR_MECHANISM_PARAM_INVALID),
    CKR_ROW(CKR_OBJECT_HANDLE_INVALID),
    CKR_ROW(CKR_OPERATION_ACTIVE),
    CKR_ROW(CKR_OPERATION_NOT_INITIALIZED),
    CKR_ROW(CKR_PIN_INCORRECT),
    CKR_ROW(CKR_PIN_INVALID),
    CKR_ROW(CKR_PIN_LEN_RANGE),
    CKR_ROW(CKR_PIN_EXPIRED),
    CKR_ROW(CKR_PIN_LOCKED),
    CKR_ROW(CKR_SESSION_CLOSED),
    CKR_ROW(CKR_SESSION_COUNT),
    CKR_ROW(CKR_SESSION_HANDLE_INVALID),
    CKR_ROW(CKR_SESSION_READ_ONLY),
    CKR_ROW(CKR_SESSION_EXISTS),
    CKR_ROW(CKR_SIGNATURE_INVALID),
    CKR_ROW(CKR_TEMPLATE_INCOMPLETE),
    CKR_ROW(CKR_TEMPLATE_INCONSISTENT),
    CKR_ROW(CKR_TOKEN_NOT_PRESENT),
    CKR_ROW(CKR_TOKEN_NOT_RECOGNIZED),
    CKR_ROW(CKR_TOKEN_WRITE_PROTECTED),
    CKR_ROW(CKR_UNWRAPPING_KEY_HANDLE_INVALID),
    CKR_ROW(CKR_UNWRAPPING_KEY_SIZE_RANGE),
    CKR_ROW(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT),
    CKR_ROW(CKR_USER_ALREADY_LOGGED_IN),
    CKR_ROW(CKR_USER_NOT_LOGGED_IN),
    CKR_ROW(CKR_USER_PIN_NOT_INITIALIZED),
    CKR_ROW(CKR_USER_TYPE_INVALID),
    CKR_ROW(CKR_USER_ANOTHER_ALREADY_LOGGED_IN),
    CKR_ROW(CKR_USER_TOO_MANY_TYPES),
    CKR_ROW(CKR_WRAPPED_KEY_INVALID),
    CKR_ROW(CKR_WRAPPED_KEY_LEN_RANGE),
    CKR_ROW(CKR_WRAPPING_KEY_HANDLE_INVALID),
    CKR_ROW(CKR_WRAPPING_KEY_SIZE_RANGE),
    CKR_ROW(CKR_WRAPPING_KEY_TYPE_INCONSISTENT),
    CKR_ROW(CKR_RANDOM_NO_RNG),
    CKR_ROW(CKR_DOMAIN_PARAMS_INVALID),
    CKR_ROW(CKR_BUFFER_TOO_SMALL),
    CKR_ROW(CKR_CRYPTOKI_NOT_INITIALIZED),
    CKR_ROW(CKR_CRYPTOKI_ALREADY_INITIALIZED),
    CKR_ROW(CKR_FUNCTION_REJECTED),
};

const char *ckr_name(CK_RV rv)
{
    for (size_t i = 0; i < sizeof ckr_table / sizeof *ckr_table; i++)
        if (ckr_table[i].rv == rv)
            return ckr_table[i].name;
    return "an unknown CKR value";
}

int ckr_set(struct error *err, int code, CK_RV rv, const char *format, ...)
{
    char why[64];
    va_list args;

    va_start(args, format);
    error_vset(err, code, (long)rv, format, args);
    va_end(args);
    snprintf(why, sizeof why, ": %s (0x%lx)", ckr_name(rv), rv);
    error_append(err, why);
    return code;
}
