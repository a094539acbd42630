/*
 * module: a PKCS#11 module in this process: loaded, initialised, finalised. Private to hsm/.
 *
 * Invariants
 *  1. This header is the one place that includes the PKCS#11 header; no public header of hsm/
 *     includes this one.
 *  2. A CKR_* value never travels alone: ckr_set gives it a name, a number and a sentence.
 */
#ifndef HSM_MODULE_H
#define HSM_MODULE_H

#include "base/error.h"

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

#define CKM_AES_KEY_WRAP_KWP 0x210bUL /* PKCS#11 v3.0: RFC 5649 */
/* PKCS#11 v3.0 section 2.57: HKDF (RFC 5869), which the header lacks. */
#define CKM_HKDF_DERIVE   0x402aUL
#define CKF_HKDF_SALT_KEY 4UL
struct hkdf_params {
    CK_BBOOL extract, expand;
    CK_MECHANISM_TYPE hash;
    CK_ULONG salt_type;
    void *salt;
    CK_ULONG salt_len;
    CK_OBJECT_HANDLE salt_key;
    void *info;
    CK_ULONG info_len;
};

#define CKA_NSS_DB 0xd5a0db00UL /* NSS: the public point, when an EC key is unwrapped */

struct module {
    void *library; /* NULL when not loaded */
    CK_FUNCTION_LIST_PTR p11;
    const char *arguments; /* for C_Initialize, or NULL; the caller keeps it */
};

/* The name of a CKR_* value, or "an unknown CKR value". Never NULL. */
const char *ckr_name(CK_RV rv);

/* Fills err with "<format>: CKR_NAME (0x..)", keeps rv as the native value, returns code. */
int ckr_set(struct error *err, int code, CK_RV rv, const char *format, ...) PRINTF_LIKE(4, 5);

/* Loads a module, without initialising it; arguments may be NULL or empty. Errors: ERR_MODULE. */
MUST_USE int module_load(struct module *m, const char *path, const char *arguments,
                         struct error *err);
void module_unload(struct module *m);

/* C_Initialize with CKF_OS_LOCKING_OK. Errors: ERR_MODULE, also when it was initialised already. */
MUST_USE int module_start(const struct module *m, const char *path, struct error *err);

/* C_Finalize, tried twice; one that is not initialised is fine. False: it is still initialised. */
bool module_stop(const struct module *m);

/* All slots, or those with a token. The caller frees *slots. Errors: ERR_HSM. */
MUST_USE int module_slots(const struct module *m, CK_BBOOL with_token, CK_SLOT_ID **slots,
                          CK_ULONG *count, struct error *err);

/*
 * The one slot whose initialised token matches: a label, or an RFC 7512 URI. *matches, how many do,
 * is set in any case. Errors: ERR_TOKEN unless it is one, ERR_INPUT (hsm/token.h), ERR_HSM, also when
 * none matches and a token cannot be asked: it may be the one.
 */
MUST_USE int module_find_token(const struct module *m, const char *token, CK_SLOT_ID *slot,
                               CK_TOKEN_INFO *info, CK_ULONG *matches, struct error *err);

/* A text that PKCS#11 pads with blanks, cut and ended with NUL; out holds size + 1 bytes. */
void module_text(const CK_UTF8CHAR *padded, size_t size, char *out);

#endif
