#include "damage_catalogue.h"

#include "base/file.h"

#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- damage by someone without any key --- */

static void drop_a_record(void)
{
    damage_drop_line(two, DEVICES, 1);
}

static void repeat_a_record(void)
{
    damage_repeat_line(two, DEVICES, 1);
}

static void reorder_records(void)
{
    damage_swap_lines(two, DEVICES, 1, 2);
}

static void cut_records(void)
{
    damage_cut(two, DEVICES, 10);
}

static void remove_records(void)
{
    damage_remove(two, DEVICES);
}

static void remove_evidence(void)
{
    damage_remove(two, EVIDENCE);
}

static void reorder_evidence(void)
{
    damage_swap_lines(two, EVIDENCE, 0, 1);
}

static void change_checkpoint(void)
{
    damage_replace(two, "checkpoint", "\n9\n", "\n8\n");
}

static void change_chain(void)
{
    damage_append(two, "chain.pem", "\n");
}

static void add_a_file(void)
{
    damage_write(two, "devices-00001.jsonl", "{}\n");
}

static void add_a_hidden_file(void)
{
    damage_write(two, ".devices", "{}\n");
}

static void add_a_folder(void)
{
    char path[PATH_MAX + 8];

    snprintf(path, sizeof path, "%s/more", two);
    ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void proofs_is_a_file(void)
{
    damage_write(two, "proofs", "");
}

static void records_are_a_link(void)
{
    damage_symlink(two, DEVICES);
}

static void records_are_a_pipe(void)
{
    char path[PATH_MAX + 32];

    snprintf(path, sizeof path, "%s/%s", two, DEVICES);
    damage_remove(two, DEVICES);
    ck_assert_int_eq(mkfifo(path, 0644), 0);
}

static void blank_after_manifest(void)
{
    damage_append(two, MANIFEST_NAME, "\n");
}

static void remove_manifest(void)
{
    damage_remove(two, MANIFEST_NAME);
}

static void remove_signature(void)
{
    damage_remove(two, MANIFEST_SIGNATURE);
}

static void garbage_as_signature(void)
{
    damage_write(two, MANIFEST_SIGNATURE, "-----BEGIN CMS-----\nAAAA\n-----END CMS-----\n");
}

static void signature_of_another_manifest(void)
{
    damage_copy(one, two, MANIFEST_SIGNATURE);
}

static void older_files_under_a_newer_name(void)
{
    damage_copy(one, two, MANIFEST_NAME);
    damage_copy(one, two, MANIFEST_SIGNATURE);
}

/* --- damage by someone who can sign manifests --- */

static void size_and_count_too_large(void)
{
    damage_replace(two, MANIFEST_NAME, "\"count\":3", "\"count\":4");
    damage_replace(two, MANIFEST_NAME, "\"seq\":2,\"size\":9", "\"seq\":2,\"size\":10");
}

static void root_changed(void)
{
    damage_flip(two, MANIFEST_NAME, "\"size\":6},\"root\":\"", 5);
}

/* It fits, but is that of another log. */
static void change_frontier(struct statement *s, void *context)
{
    (void)context;
    s->prev.tree.node[1].bytes[0] ^= 1;
    merkle_root(&s->prev.tree, &s->prev.root);
}

static void frontier_changed(void)
{
    damage_statement(two, change_frontier, NULL);
}

static void frontier_of_wrong_root(void)
{
    damage_flip(two, MANIFEST_NAME, "\"frontier\":[\"", 5);
}

static void other_predecessor(void)
{
    damage_flip(two, MANIFEST_NAME, "\"seq\":1,\"sha256\":\"", 5);
}

static void first_of_a_log(void)
{
    damage_replace(two, MANIFEST_NAME, "\"prev\":{\"frontier\":", "\"prev\":null,\"q\":{\"f\":");
    damage_replace(two, MANIFEST_NAME, "\"q\":", "\"ext\":");
}

static void shard_numbers_with_a_gap(void)
{
    damage_replace(two, MANIFEST_NAME, "devices-00000", "devices-00001");
    damage_rename(two, DEVICES, "devices-00001.jsonl");
}

static void critical_extension(void)
{
    damage_replace(two, MANIFEST_NAME, "\"customer\"", "\"crit\":[\"f\"],\"customer\"");
    damage_replace(two, MANIFEST_NAME, "\"files\"", "\"ext\":{\"f\":1},\"files\"");
}

/* --- damage by someone who can sign manifests, and brings the hashes of files up to date --- */

static void checkpoint_of_another_manifest(void)
{
    damage_copy(one, two, "checkpoint");
}

static void checkpoint_of_another_key(void)
{
    EVP_PKEY *key = kit_key();
    struct buf note, again;
    const uint8_t *end;

    buf_init(&note, NOTE_MAX);
    buf_init(&again, NOTE_MAX);
    ASSERT_OK(folder_read(two, "checkpoint", &note, &err), err);
    end = memmem(note.data, note.len, "\n\n", 2);
    ASSERT_OK(note_sign(note.data, (size_t)(end - note.data) + 1, KIT_ORIGIN, key, &again, &err),
              err);
    buf_put_u8(&again, 0);
    damage_write(two, "checkpoint", (char *)again.data);
    buf_done(&again);
    buf_done(&note);
    EVP_PKEY_free(key);
}

static void chain_is_empty(void)
{
    damage_write(two, "chain.pem", "no certificate\n");
}

static void chain_of_another_root(void)
{
    damage_copy(top, two, "manifest-root.pem");
    damage_rename(two, "manifest-root.pem", "chain.pem");
}

static void chain_without_the_issuer(void)
{
    damage_copy(top, two, "device-root.pem");
    damage_rename(two, "device-root.pem", "chain.pem");
}

/* A device's certificate among the issuers. */
static void chain_with_a_device(void)
{
    struct folder_lines lines;
    struct statement s = {.file_count = 1, .files = &(struct manifest_file){.name = DEVICES}};
    struct record r;
    const char *line;
    const uint8_t *p;
    char path[PATH_MAX + 16];
    size_t len;
    X509 *cert;
    BIO *out;

    ASSERT_OK(folder_lines_open(&lines, two, "devices", &s, &err), err);
    ck_assert_int_eq(folder_lines_next(&lines, &line, &len, &err), 1);
    ASSERT_OK(record_parse(line, len, &r, &err), err);
    p = r.cert.p;
    cert = d2i_X509(NULL, &p, (long)r.cert.len);
    snprintf(path, sizeof path, "%s/chain.pem", two);
    out = BIO_new_file(path, "a");
    ck_assert_int_eq(PEM_write_bio_X509(out, cert), 1);
    BIO_free(out);
    X509_free(cert);
    record_done(&r);
    folder_lines_close(&lines);
}

/* --- damage by a station that signs everything --- */

static void empty_line(void)
{
    damage_append(two, DEVICES, "\n");
}

static void transaction_differs(void)
{
    damage_flip(two, EVIDENCE, "\"tx\":\"", 0);
    damage_name_evidence(two, 0);
}

static void certificate_changed(void)
{
    damage_flip(two, DEVICES, "\"cert\":\"", 505); /* within the signature */
}

static void other_issuer_hash(void)
{
    damage_flip(two, DEVICES, "\"iss\":\"", 0);
}

static void key_differs_from_certificate(void)
{
    damage_flip(two, DEVICES, "\"spki\":\"", 60);
}

static void evidence_dropped(void)
{
    damage_drop_line(two, EVIDENCE, 1);
}

static void evidence_repeated(void)
{
    damage_repeat_line(two, EVIDENCE, 1);
}

static void evidence_swapped(void)
{
    damage_swap_lines(two, EVIDENCE, 0, 1);
}

static void evidence_changed(void)
{
    damage_flip(two, EVIDENCE, "\"nonce\":\"", 0);
}

static void nonce_changed_and_named(void)
{
    damage_flip(two, EVIDENCE, "\"nonce\":\"", 0);
    damage_name_evidence(two, 0);
}

static void record_dropped_with_its_evidence(void)
{
    damage_drop_line(two, DEVICES, 0);
    damage_drop_line(two, EVIDENCE, 0);
}

static void record_and_evidence_repeated(void)
{
    damage_repeat_line(two, DEVICES, 0);
    damage_repeat_line(two, EVIDENCE, 0);
    damage_replace(two, MANIFEST_NAME, "\"good\":4,\"issued\":8", "\"good\":5,\"issued\":9");
}

const struct damage damage_basic[] = {
#define NO_HASH "\"0000000000000000000000000000000000000000000000000000000000000000\""
    {E(change_a_record, DEVICES, "A1-0007", "A1-0008"), 0, ERR_INTEGRITY, DEVICES},
    {D(drop_a_record), 0, ERR_INCOMPLETE, DEVICES},
    {D(repeat_a_record), 0, ERR_INTEGRITY, DEVICES},
    {D(reorder_records), 0, ERR_INTEGRITY, DEVICES},
    {D(cut_records), 0, ERR_INCOMPLETE, "is cut"},
    {D(remove_records), 0, ERR_INCOMPLETE, "is missing"},
    {D(remove_evidence), 0, ERR_INCOMPLETE, EVIDENCE},
    {D(reorder_evidence), 0, ERR_INTEGRITY, EVIDENCE},
    {D(change_checkpoint), 0, ERR_INTEGRITY, "checkpoint"},
    {D(change_chain), 0, ERR_INTEGRITY, "chain.pem"},
    {D(add_a_file), 0, ERR_INTEGRITY, "not listed"},
    {D(add_a_hidden_file), 0, ERR_INTEGRITY, "not listed"},
    {D(add_a_folder), 0, ERR_INTEGRITY, "not listed"},
    {D(proofs_is_a_file), 0, ERR_INTEGRITY, "not listed"},
    {D(records_are_a_link), 0, ERR_INTEGRITY, "symbolic link"},
    {D(records_are_a_pipe), 0, ERR_INTEGRITY, "not a regular file"},
    {E(change_manifest, MANIFEST_NAME, "\"seq\":2", "\"seq\":3"), 0, ERR_SIGNATURE,
     "does not verify"},
    {D(blank_after_manifest), 0, ERR_SIGNATURE, "does not verify"},
    {D(remove_manifest), 0, ERR_INCOMPLETE, MANIFEST_NAME},
    {D(remove_signature), 0, ERR_INCOMPLETE, MANIFEST_SIGNATURE},
    {D(garbage_as_signature), 0, ERR_FORMAT, "not CMS"},
    {D(signature_of_another_manifest), 0, ERR_SIGNATURE, "does not verify"},
    {D(older_files_under_a_newer_name), 0, ERR_ROLLBACK, "not newer"},

    {E(unknown_member, MANIFEST_NAME, "\"seq\":2", "\"seen\":1,\"seq\":2"), KIT_SIGNATURE,
     ERR_FORMAT, "'seen'"},
    {E(unknown_member_of_a_file, MANIFEST_NAME, "{\"bytes\"", "{\"a\":1,\"bytes\""), KIT_SIGNATURE,
     ERR_FORMAT, "'a'"},
    {E(other_format, MANIFEST_NAME, "manifest/1", "manifest/2"), KIT_SIGNATURE, ERR_FORMAT,
     "newer imprint-manifest"},
    {E(other_hash, MANIFEST_NAME, "\"sha256\",\"origin\"", "\"sha512\",\"origin\""), KIT_SIGNATURE,
     ERR_FORMAT, "sha512"},
    {E(totals_do_not_add_up, MANIFEST_NAME, "\"issued\":8", "\"issued\":9"), KIT_SIGNATURE,
     ERR_INCOMPLETE, "do not add up"},
    {E(totals_hide_a_burned_one, MANIFEST_NAME, "\"burned\":1,\"good\":4",
       "\"burned\":0,\"good\":5"),
     KIT_SIGNATURE, ERR_INCOMPLETE, "totals"},
    {E(totals_hide_a_revoked_one, MANIFEST_NAME,
       "\"good\":4,\"issued\":8,\"replaced\":1,\"revoked\":1",
       "\"good\":5,\"issued\":8,\"replaced\":1,\"revoked\":0"),
     KIT_SIGNATURE, ERR_INCOMPLETE, "totals"},
    {E(totals_invent_a_device, MANIFEST_NAME, "\"good\":4,\"issued\":8", "\"good\":5,\"issued\":9"),
     KIT_SIGNATURE, ERR_INCOMPLETE, "identities"},
    {E(totals_shrink, MANIFEST_NAME, "\"good\":4,\"issued\":8", "\"good\":1,\"issued\":5"),
     KIT_SIGNATURE, ERR_ROLLBACK, "fewer certificates"},
    {E(totals_of_another_order, MANIFEST_NAME, "\"3eeb7e", "\"3eeb7f"), KIT_SIGNATURE, ERR_ROLLBACK,
     "order"},
    {E(amendments_is_an_empty_list, MANIFEST_NAME, "\"burned\":1,\"good\":4",
       "\"amendments\":[],\"burned\":1,\"good\":4"),
     KIT_SIGNATURE, ERR_FORMAT, "amendments is an empty list"},
    {E(amendments_is_no_hash, MANIFEST_NAME, "\"burned\":1,\"good\":4",
       "\"amendments\":[\"00\"],\"burned\":1,\"good\":4"),
     KIT_SIGNATURE, ERR_FORMAT, "hash of a version"},
    {E(amendments_names_one_twice, MANIFEST_NAME, "\"burned\":1,\"good\":4",
       "\"amendments\":[" NO_HASH "," NO_HASH "],\"burned\":1,\"good\":4"),
     KIT_SIGNATURE, ERR_FORMAT, "one version of an order twice"},
    {E(count_too_large, MANIFEST_NAME, "\"count\":3", "\"count\":4"), KIT_SIGNATURE, ERR_INCOMPLETE,
     "count"},
    {D(size_and_count_too_large), KIT_SIGNATURE, ERR_INTEGRITY, "checkpoint"},
    {E(seq_jumps, MANIFEST_NAME, "\"seq\":2", "\"seq\":3"), KIT_SIGNATURE, ERR_INCOMPLETE, "seq"},
    {D(root_changed), KIT_SIGNATURE, ERR_INTEGRITY, "checkpoint"},
    {D(frontier_changed), KIT_SIGNATURE, ERR_FORK, "fork"},
    {E(frontier_does_not_fit, MANIFEST_NAME, "\"frontier\":[", "\"frontier\":[\"\","),
     KIT_SIGNATURE, ERR_FORMAT, "frontier"},
    {D(frontier_of_wrong_root), KIT_SIGNATURE, ERR_INTEGRITY, "frontier"},
    {D(other_predecessor), KIT_SIGNATURE, ERR_FORK, "forked"},
    {D(first_of_a_log), KIT_SIGNATURE, ERR_INCOMPLETE, "seq"},
    {E(other_origin, MANIFEST_NAME, "wl/line1", "wl/line2"), KIT_SIGNATURE, ERR_FORK, "line2"},
    {E(other_environment, MANIFEST_NAME, "\"development\"", "\"production\""), KIT_SIGNATURE,
     ERR_FORK, "production"},
    {E(file_with_a_path, MANIFEST_NAME, "\"name\":\"chain.pem\"", "\"name\":\"../chain.pem\""),
     KIT_SIGNATURE, ERR_FORMAT, "plain file name"},
    {E(members_out_of_order, MANIFEST_NAME, "\"seq\":2,\"size\":9", "\"size\":9,\"seq\":2"),
     KIT_RAW, ERR_FORMAT, "canonical"},
    {E(blank_in_the_statement, MANIFEST_NAME, "\"seq\":2", "\"seq\": 2"), KIT_RAW, ERR_FORMAT,
     "canonical"},
    {E(member_repeated, MANIFEST_NAME, "\"seq\":2", "\"seq\":2,\"seq\":2"), KIT_RAW, ERR_FORMAT,
     "duplicate"},
    {E(line_end_twice, MANIFEST_NAME, "}\n", "}\n\n"), KIT_RAW, ERR_FORMAT, "canonical"},
    {E(file_listed_twice, MANIFEST_NAME, "\"name\":\"checkpoint\"", "\"name\":\"chain.pem\""),
     KIT_SIGNATURE, ERR_FORMAT, "not sorted"},
    {E(evidence_not_listed, MANIFEST_NAME, "evidence-00000.jsonl", "f.jsonl"), KIT_SIGNATURE,
     ERR_INTEGRITY, "not listed"},
    {D(shard_numbers_with_a_gap), ALL_FILES, ERR_INCOMPLETE, "must come"},
    {D(critical_extension), KIT_SIGNATURE, ERR_FORMAT, "critical"},
    {E(created_is_no_time, MANIFEST_NAME, "\"created\":\"2", "\"created\":\"3333"), KIT_SIGNATURE,
     ERR_FORMAT, "created"},
    {E(checkpoint_not_listed, MANIFEST_NAME, "\"checkpoint\"", "\"checkpoint2\""), KIT_SIGNATURE,
     ERR_INTEGRITY, "not listed"},

    {E(change_a_record, DEVICES, "A1-0007", "A1-0008"), ALL_FILES, ERR_INTEGRITY, "A1-0008"},
    {D(drop_a_record), ALL_FILES, ERR_INCOMPLETE, "records"},
    {D(repeat_a_record), ALL_FILES, ERR_INCOMPLETE, "more records"},
    {D(reorder_records), ALL_FILES, ERR_INTEGRITY, "root"},
    {D(cut_records), ALL_FILES, ERR_INCOMPLETE, "cut in line 3"},
    {D(checkpoint_of_another_manifest), ALL_FILES, ERR_INTEGRITY, "checkpoint"},
    {D(checkpoint_of_another_key), ALL_FILES, ERR_SIGNATURE, "checkpoint"},
    {D(chain_is_empty), ALL_FILES, ERR_FORMAT, "chain.pem"},
    {D(chain_of_another_root), ALL_FILES, ERR_SIGNATURE, "pinned device root"},
    {D(chain_with_a_device), ALL_FILES, ERR_SIGNATURE, "not a CA"},
    {D(chain_without_the_issuer), ALL_FILES, ERR_SIGNATURE, "not in chain.pem"},

    {E(record_not_canonical, DEVICES, "\"lock\":true", "\"lock\": true"), ALL_KEYS, ERR_FORMAT,
     "line 1"},
    {E(record_with_unknown_member, DEVICES, "\"lock\":true", "\"lock\":true,\"lot\":1"), ALL_KEYS,
     ERR_FORMAT, "'lot'"},
    {E(record_without_a_member, DEVICES, "\"hsm\":\"software\",", ""), ALL_KEYS, ERR_FORMAT,
     "'hsm'"},
    {D(empty_line), ALL_KEYS, ERR_FORMAT, "line 4"},
    {E(serial_differs_from_certificate, DEVICES, "\"sn\":\"A1-0007\"", "\"sn\":\"A1-0017\""),
     ALL_KEYS, ERR_INTEGRITY, "serialNumber"},
    {E(chip_differs_from_transcript, DEVICES, "\"chip\":\"", "\"chip\":\"00"), ALL_KEYS, ERR_PROOF,
     "chip id"},
    {D(transaction_differs), ALL_KEYS, ERR_PROOF, "transaction"},
    {E(lock_differs_from_proof, DEVICES, "\"lock\":true", "\"lock\":false"), ALL_KEYS, ERR_PROOF,
     "locked"},
    {E(auth_without_attestation, DEVICES, "\"auth\":\"none\"", "\"auth\":\"attested\""), ALL_KEYS,
     ERR_PROOF, "attestation"},
    {E(derived_with_proof_of_a_key, DEVICES, "\"mode\":\"hsm\"", "\"mode\":\"derived\""), ALL_KEYS,
     ERR_FORMAT, "'cert'"},
    {D(certificate_changed), ALL_KEYS, ERR_SIGNATURE, "certificate"},
    {D(other_issuer_hash), ALL_KEYS, ERR_SIGNATURE, "not in chain.pem"},
    {D(key_differs_from_certificate), ALL_KEYS, ERR_INTEGRITY, "key"},
    {D(evidence_dropped), ALL_KEYS, ERR_INCOMPLETE, "missing"},
    {D(evidence_repeated), ALL_KEYS, ERR_INCOMPLETE, "no record names"},
    {D(evidence_swapped), ALL_KEYS, ERR_INCOMPLETE, "out of order"},
    {D(evidence_changed), ALL_KEYS, ERR_INCOMPLETE, "'" EVIDENCE "' line 1"},
    {D(nonce_changed_and_named), ALL_KEYS, ERR_PROOF, "does not verify"},
    {D(record_dropped_with_its_evidence), ALL_KEYS, ERR_INCOMPLETE, "totals"},
    {D(record_and_evidence_repeated), ALL_KEYS, ERR_DUPLICATE, "line 2"},
    {E(reference_to_the_future, DEVICES, "\"ref\":0", "\"ref\":7"), ALL_KEYS, ERR_INTEGRITY,
     "not before it"},
    {E(reference_to_another_device, DEVICES, "\"ref\":0", "\"ref\":6"), ALL_KEYS, ERR_INTEGRITY,
     "same device"},
};

const size_t damage_basic_count = sizeof damage_basic / sizeof *damage_basic;
