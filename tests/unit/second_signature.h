/*
 * second_signature: signs a sealed manifest with another algorithm, well or badly, with stock CMS
 * functions.
 */
#ifndef TESTS_SECOND_SIGNATURE_H
#define TESTS_SECOND_SIGNATURE_H

#include "manifest_fixture.h"

struct second {
    enum cms_algorithm name; /* in the file's name */
    /* What is otherwise than the name says; zero for nothing. */
    const char *key; /* "P-256", "P-384", "2048" or "3072": of the signer's key */
    const EVP_MD *md;
    int salt;          /* of RSA-PSS; -1: PKCS #1 v1.5 */
    bool of_device_ca; /* issued by the issuing CA of devices */
    bool no_email;     /* its certificate lacks the extended key usage */
    bool no_attribute; /* does not name its certificate */
    bool expired;
    X509 *root; /* below another root */
    EVP_PKEY *root_key;
    const char *content; /* of this folder, instead of the one that is signed */
};

/* Writes dir/manifest.json.<name>.p7s. */
void second_sign(const char *dir, const struct second *what);

/* All algorithms, well. */
void second_sign_all(const char *dir);

/* "manifest.json.<name>.p7s" */
const char *second_name(enum cms_algorithm a);

#endif
