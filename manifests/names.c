/* Words that are needed without the rest of record.c. */
#include "manifests/record.h"

const char *const record_reason_names[RECORD_REASONS] = {NULL,
                                                         "scrapped",
                                                         "burned",
                                                         "unspecified",
                                                         "keyCompromise",
                                                         "cACompromise",
                                                         "affiliationChanged",
                                                         "superseded",
                                                         "cessationOfOperation",
                                                         "certificateHold",
                                                         "privilegeWithdrawn",
                                                         "aACompromise"};

const char *record_reason_name(enum record_reason reason)
{
    return reason > 0 && reason < RECORD_REASONS ? record_reason_names[reason] : "?";
}
