/*
 * claim: binds a credential to a device's transport key, and ends such a bond.
 */
#ifndef STATION_VAULT_CLAIM_H
#define STATION_VAULT_CLAIM_H

#include "station/vault/session.h"

/*
 * The credential of a claim. What its row, the claim and the ledger say of its state must be the
 * same. Errors: ERR_INTEGRITY.
 */
MUST_USE int claim_credential(struct vault *v, const struct claim *c, struct credential *credential,
                              struct error *err);

/*
 * Takes a credential (vault/naming.h), rewraps its key for the device in s->hello, signs the transcript, and
 * commits the claim: credential, transport key, transcript and wrapped key in one transaction. When
 * old is not NULL, it is an open claim of the same chip that is burned in the same transaction.
 * Fills s->claim and s->credential.
 */
MUST_USE int claim_make(struct vault *v, struct session *s, const struct claim *old,
                        struct error *err);

/*
 * The claim for s->credential, which certifier_issue just made for the device's own key, inside the
 * caller's transaction: transcript, station signature, row and ledger entry. Errors: as claim_make.
 */
MUST_USE int claim_for_request(struct vault *v, struct session *s, const struct wire_csr *request,
                               struct error *err);

/* Burns an open claim whose key is lost, inside the caller's transaction: what was released may be
 * live for ever. Errors: ERR_REFUSED for one that is not open; ERR_INTEGRITY. */
MUST_USE int claim_burn(struct vault *v, const struct claim *claim, struct error *err);

/*
 * Commits that the device proved its key: states, record, evidence, ledger entry, attempt, the
 * nonce forgotten and the wrapped keys deleted. proof is what the device signed with. A claim that
 * another channel saw proven meanwhile gets no second record. Errors: ERR_DUPLICATE when it was
 * burned meanwhile; those of the store and the HSM.
 */
MUST_USE int claim_proven(struct vault *v, struct session *s, const struct wire_proof *proof,
                          struct error *err);

/* The objects of a bundle in ascending order of their types. Returns how many. */
size_t claim_objects(const struct vault *v, const struct session *s,
                     struct wire_object_info objects[IMPRINT_OBJECTS_MAX]);

/*
 * Whether what would be delivered is still what the claim's transcript names: an amendment may have
 * changed the trust anchors. Errors: ERR_REFUSED.
 */
MUST_USE int claim_check_bundle(const struct vault *v, const struct session *s, struct error *err);

/* The certificate object: the leaf, then the issuing CA. */
void claim_certificates(const struct vault *v, const struct credential *c, struct buf *out);

#endif
