/*
 * pattern: texts of a certificate profile with placeholders, as "pump-{serial}".
 *
 * A placeholder is the name of a value in braces; "{{" and "}}" are the braces themselves. The
 * values are a closed list (PATTERN_LIST), so that a profile can be judged without a device.
 *
 * Invariant: what pattern_expand returns can be encoded in the form that was asked for. In a URI a
 * value is percent-encoded (RFC 3986 section 2.1) and the text around it is not; in every other
 * form a character that does not fit is refused and never replaced.
 */
#ifndef PKI_PATTERN_H
#define PKI_PATTERN_H

#include "base/error.h"

#include <stddef.h>

/* X(name, placeholder, who says it, meaning) */
#define PATTERN_LIST(X)                                                                            \
    X(VALUE_SERIAL, "serial", FROM_DEVICE, "the device's serial")                                  \
    X(VALUE_CHIP_ID, "chip_id", FROM_CLAIM, "the chip id, in hexadecimal")                         \
    X(VALUE_UDI, "udi", FROM_CLAIM, "the unique device identifier on the label")                   \
    X(VALUE_PRODUCT, "product", FROM_ORDER, "the order's product")                                 \
    X(VALUE_ORDER, "order", FROM_ORDER, "the order's id")                                          \
    X(VALUE_ENVIRONMENT, "environment", FROM_ORDER, "the order's environment")                     \
    X(VALUE_ORGANIZATION, "organization", FROM_JOB, "the maker's name")                            \
    X(VALUE_HARDWARE_TYPE, "hardware_type", FROM_JOB, "object identifier of the hardware type")    \
    X(VALUE_VENDOR_ID, "vendor_id", FROM_JOB, "the vendor's id, 4 upper-case hexadecimal digits")  \
    X(VALUE_PRODUCT_ID, "product_id", FROM_JOB, "the product's id, 4 upper-case hexadecimal digits")

enum pattern_value {
#define PATTERN_ENUM(name, placeholder, from, meaning) name,
    PATTERN_LIST(PATTERN_ENUM)
#undef PATTERN_ENUM
        VALUE_COUNT
};

/* Who says what a value is. */
enum pattern_from {
    FROM_DEVICE, /* differs from device to device and is known ahead */
    FROM_CLAIM,  /* known only when a device is in its slot */
    FROM_ORDER,
    FROM_JOB
};

enum pattern_form {
    FORM_TEXT,      /* UTF-8 without control characters */
    FORM_PRINTABLE, /* PrintableString (X.680 section 41.4) */
    FORM_ASCII,     /* printable ASCII */
    FORM_URI,       /* RFC 3986 */
    FORM_DNS        /* LDH labels (RFC 1123 section 2.1), at most 63 characters each */
};

const char *pattern_name(enum pattern_value value);
const char *pattern_meaning(enum pattern_value value);
enum pattern_from pattern_from(enum pattern_value value);

/* The values that a pattern names, one bit each. Errors: ERR_INPUT for a brace that is alone or a
 * name that is not a value, saying which there are. */
MUST_USE int pattern_uses(const char *pattern, unsigned *uses, struct error *err);

/*
 * Writes the pattern with its values (by enum pattern_value) into out, at most size - 1 bytes and a
 * NUL. Errors: ERR_INPUT for a value that is NULL, a character that the form cannot hold, or a text
 * that does not fit.
 */
MUST_USE int pattern_expand(const char *pattern, const char *const values[VALUE_COUNT],
                            enum pattern_form form, char *out, size_t size, struct error *err);

#endif
