/*
 * p11proxy: a PKCS#11 module that stands before a real one and fails on request.
 *
 * Every function of the v2.40 list is forwarded to the module named by P11PROXY_MODULE. The proxy
 * counts the calls, and fails one of them. Two ways to tell it which:
 *
 *   by the environment, read when the module is loaded, for a whole program:
 *     P11PROXY_FUNCTION  count this function only, as "C_Login"; unset: all
 *     P11PROXY_FAIL_AT   the number of the call that fails, from 1
 *     P11PROXY_RV        what it returns: a number, or a name of the table in p11proxy.c
 *     P11PROXY_HOW       refuse (unset), done, close, finalize or kill: enum p11proxy_how
 *     P11PROXY_LOG       a file to which the name of each call that is counted is added, one a line
 *     P11PROXY_FLAGS     bits that C_GetTokenInfo adds to the flags of every token
 *     P11PROXY_FOR_EVER  set: every later one fails, too
 *
 *   by the functions below, found with dlsym, for a sweep within one process. A process that uses
 *   them keeps the proxy loaded by a dlopen of its own, or the count is lost with the module.
 *
 * Calls that the proxy makes itself are not counted.
 */
#ifndef TESTS_P11PROXY_H
#define TESTS_P11PROXY_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

enum p11proxy_how {
    P11PROXY_REFUSE,   /* the module does not see the call */
    P11PROXY_DONE,     /* the module does it and the answer is lost */
    P11PROXY_CLOSE,    /* instead of it every session is closed, and so the user is logged out */
    P11PROXY_FINALIZE, /* instead of it the module is finalised */
    P11PROXY_KILL      /* instead of it the process is killed */
};

struct p11proxy_fault {
    const char *function; /* a literal; NULL: all */
    unsigned long at;     /* 0: none */
    CK_RV rv;
    enum p11proxy_how how;
    bool for_ever;
};

struct p11proxy_state {
    unsigned long calls;  /* of what is counted, since the fault was set */
    unsigned long faults; /* how many of them failed */
    const char *function; /* the one that failed first, or NULL */
};

/* Sets the fault, or none for NULL, and counts anew. */
typedef void p11proxy_set_fn(const struct p11proxy_fault *fault);
typedef struct p11proxy_state p11proxy_state_fn(void);

p11proxy_set_fn p11proxy_set;
p11proxy_state_fn p11proxy_state;

#endif
