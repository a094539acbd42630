/* Damage to records, evidence and compressed files, by a station that signs everything. */
#include "damage_catalogue.h"

#include "base/file.h"
#include "manifests/stream.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void path_of(char out[PATH_MAX], const char *name)
{
    ASSERT_OK(file_join(out, PATH_MAX, two, name, &err), err);
}

static void nested_ext(size_t depth)
{
    static char ext[60000];
    size_t at = (size_t)snprintf(ext, sizeof ext, "\"ext\":{\"d\":");

    memset(ext + at, '[', depth);
    memset(ext + at + depth, ']', depth);
    snprintf(ext + at + 2 * depth, sizeof ext - at - 2 * depth, "},\"fw\"");
    damage_replace(two, DEVICES, "\"fw\"", ext);
}

static void record_nested_eight_deep(void)
{
    nested_ext(8);
}

static void record_nested_without_end(void)
{
    nested_ext(29000);
}

/* One byte more than a line may have. */
static void record_too_long(void)
{
    static char ext[70000];
    size_t at = (size_t)snprintf(ext, sizeof ext, "\"ext\":{\"d\":\"");

    memset(ext + at, 'x', 66000);
    snprintf(ext + at + 66000, sizeof ext - at - 66000, "\"},\"fw\"");
    damage_replace(two, DEVICES, "\"fw\"", ext);
}

/* What the statement says of a file: its length, and its hash where one is given. */
struct listing {
    const char *name;
    uint64_t bytes;
    const uint8_t *sha256;
};

static void list_as(struct statement *s, void *context)
{
    const struct listing *as = context;

    for (size_t i = 0; i < s->file_count; i++)
        if (strcmp(s->files[i].name, as->name) == 0) {
            s->files[i].bytes = as->bytes;
            if (as->sha256)
                memcpy(s->files[i].sha256, as->sha256, sizeof s->files[i].sha256);
        }
}

/* A line of a gigabyte, whose file is sparse. The statement lists it as it is. */
static void gigabyte_line(void)
{
    static char block[1 << 20];
    uint8_t hash[SHA256_SIZE];
    struct listing truth = {DEVICES, 1 << 30, hash};
    struct sha256 *digest = sha256_new();
    char path[PATH_MAX];

    path_of(path, DEVICES);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(truncate(path, 1 << 30), 0);
    for (int i = 0; i < 1024; i++)
        sha256_update(digest, block, sizeof block);
    sha256_final(digest, hash);
    damage_statement(two, list_as, &truth);
}

static void records_of_the_manifest_before(void)
{
    damage_copy(one, two, DEVICES);
    damage_copy(one, two, EVIDENCE);
}

static void evidence_cut(void)
{
    damage_cut(two, EVIDENCE, 10);
}

static void evidence_with_a_line_more(void)
{
    damage_append(two, EVIDENCE, "{}\n");
}

static void revoked_twice(void)
{
    damage_repeat_line(two, DEVICES, 1);
    damage_replace(two, MANIFEST_NAME, "\"good\":4,\"issued\":8,\"replaced\":1,\"revoked\":1",
                   "\"good\":3,\"issued\":8,\"replaced\":1,\"revoked\":2");
}

/* ---- compressed files ---- */

#define PACKED DEVICES ".zst"

static void packed_flipped(void)
{
    struct buf b;
    char path[PATH_MAX];

    kit_compress(&kit, two);
    buf_init(&b, STATEMENT_MAX);
    path_of(path, PACKED);
    ASSERT_OK(file_read(path, &b, &err), err);
    b.data[b.len / 2] ^= 0x55;
    ASSERT_OK(file_write(path, b.data, b.len, 0644, &err), err);
    buf_done(&b);
}

static void packed_flipped_and_listed(void)
{
    packed_flipped();
    kit_repair(&kit, two, ALL_FILES);
}

static void packed_cut(void)
{
    kit_compress(&kit, two);
    damage_cut(two, PACKED, 20);
}

static void packed_cut_and_listed(void)
{
    packed_cut();
    kit_repair(&kit, two, ALL_FILES);
}

static void packed_garbage(void)
{
    kit_compress(&kit, two);
    damage_write(two, PACKED, "this is no frame\n");
    kit_repair(&kit, two, ALL_FILES);
}

static void packed_missing(void)
{
    kit_compress(&kit, two);
    damage_remove(two, PACKED);
}

static void packed_of_the_manifest_before(void)
{
    struct manifest_file ignored;

    kit_compress(&kit, two);
    ASSERT_OK(stream_compress(one, DEVICES, &ignored, &err), err);
    damage_copy(one, two, PACKED);
    kit_repair(&kit, two, ALL_FILES);
}

static void packed_longer_than_listed(void)
{
    struct manifest_file ignored;

    kit_compress(&kit, two);
    damage_remove(two, PACKED);
    damage_copy(one, two, DEVICES);
    damage_append(two, DEVICES, "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n");
    ASSERT_OK(stream_compress(two, DEVICES, &ignored, &err), err);
    kit_repair(&kit, two, ALL_FILES);
}

static void list_plain(const char *name, uint64_t bytes)
{
    damage_statement(two, list_as, &(struct listing){.name = name, .bytes = bytes});
}

/* A gigabyte of zeros in some thirty kilobytes: all that the statement lists is true. */
static void packed_bomb(void)
{
    struct manifest_file ignored;
    char path[PATH_MAX];

    kit_compress(&kit, two);
    damage_remove(two, PACKED);
    damage_write(two, DEVICES, "");
    path_of(path, DEVICES);
    ck_assert_int_eq(truncate(path, 1 << 28), 0);
    ASSERT_OK(stream_compress(two, DEVICES, &ignored, &err), err);
    kit_repair(&kit, two, ALL_FILES);
    list_plain(DEVICES, 1 << 28);
    kit_repair(&kit, two, KIT_SIGNATURE);
}

/* The same, listed as small as it should be. */
static void packed_bomb_that_hides(void)
{
    packed_bomb();
    list_plain(DEVICES, 60000);
    kit_repair(&kit, two, KIT_SIGNATURE);
}

/* A frame whose header asks for a window of 2 GiB (RFC 8878 3.1.1.1.2). */
static void packed_wants_memory(void)
{
    static const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x03,
                                    0x00, 0x00, 'x',  0x01, 0x00, 0x00};
    char path[PATH_MAX];

    kit_compress(&kit, two);
    path_of(path, PACKED);
    ASSERT_OK(file_write(path, frame, sizeof frame, 0644, &err), err);
    kit_repair(&kit, two, ALL_FILES);
}

static void packed_without_plain_listed(void)
{
    kit_compress(&kit, two);
    damage_write(two, "d00.jsonl", "");
    damage_replace(two, MANIFEST_NAME, "\"devices-00000.jsonl\"", "\"d00.jsonl\"");
    kit_repair(&kit, two, ALL_FILES);
}

static void packed_is_a_link(void)
{
    kit_compress(&kit, two);
    damage_symlink(two, PACKED);
}

static void packed_beside_another_plain(void)
{
    struct buf b;
    char path[PATH_MAX];

    buf_init(&b, STATEMENT_MAX);
    path_of(path, DEVICES);
    ASSERT_OK(file_read(path, &b, &err), err);
    b.data[10] ^= 1;
    kit_compress(&kit, two);
    ASSERT_OK(file_write(path, b.data, b.len, 0644, &err), err);
    buf_done(&b);
}

static void packed_checkpoint(void)
{
    damage_write(two, "checkpoint.zst", "");
}

#define R DEVICES

const struct damage damage_lines[] = {
    {E(record_number_beyond_doubles, R, "\"ref\":0", "\"ref\":1e999"), ALL_KEYS, ERR_FORMAT,
     "'ref'"},
    {E(record_number_of_many_digits, R, "\"ref\":0", "\"ref\":11111111111111111111111111"),
     ALL_KEYS, ERR_FORMAT, "'ref'"},
    {E(record_number_with_fraction, R, "\"ref\":0", "\"ref\":0.0"), ALL_KEYS, ERR_FORMAT, "'ref'"},
    {E(record_number_negative, R, "\"ref\":0", "\"ref\":-1"), ALL_KEYS, ERR_FORMAT, "'ref'"},
    {E(record_number_padded, R, "\"ref\":0", "\"ref\":00"), ALL_KEYS, ERR_FORMAT, "'ref'"},
    {E(record_not_utf8, R, "\"hsm\":\"s", "\"hsm\":\"\xc0\xaf"), ALL_KEYS, ERR_FORMAT, "line 1"},
    {E(record_not_ascii, R, "\"hsm\":\"s", "\"hsm\":\"\xc3\xa9"), ALL_KEYS, ERR_FORMAT, "line 1"},
    {E(record_with_a_control, R, "\"hsm\":\"s", "\"hsm\":\"\x01"), ALL_KEYS, ERR_FORMAT, "line 1"},
    {E(record_escaped_for_nothing, R, "\"hsm\":\"s", "\"hsm\":\"\\u0073"), ALL_KEYS, ERR_FORMAT,
     "line 1"},
    {E(record_member_repeated, R, "\"lock\":true", "\"lock\":true,\"lock\":true"), ALL_KEYS,
     ERR_FORMAT, "line 1"},
    {E(record_members_out_of_order, R, "\"lock\":true,\"mode\":\"hsm\"",
       "\"mode\":\"hsm\",\"lock\":true"),
     ALL_KEYS, ERR_FORMAT, "line 1"},
    {E(record_with_carriage_return, R, "}\n", "}\r\n"), ALL_KEYS, ERR_FORMAT, "line 1"},
    {E(record_is_a_list, R, "{\"auth\"", "[{\"auth\""), ALL_KEYS, ERR_FORMAT, "line 1"},
    {E(record_boolean_as_text, R, "\"lock\":true", "\"lock\":\"true\""), ALL_KEYS, ERR_FORMAT,
     "'lock'"},
    {D(record_nested_eight_deep), ALL_KEYS, ERR_FORMAT, "line 1"},
    {D(record_nested_without_end), ALL_KEYS, ERR_FORMAT, "line 1"},
    {D(record_too_long), ALL_KEYS, ERR_FORMAT, "longer than 65535"},
    {D(gigabyte_line), KIT_SIGNATURE, ERR_FORMAT, "longer than 65535"},
    {E(record_of_unknown_type, R, "\"t\":\"revoke\"", "\"t\":\"retire\""), ALL_KEYS, ERR_FORMAT,
     "'t'"},
    {E(record_of_unknown_mode, R, "\"mode\":\"hsm\"", "\"mode\":\"tpm\""), ALL_KEYS, ERR_FORMAT,
     "'mode'"},
    {E(record_at_no_time, R, "\"ts\":\"2026-11-21", "\"ts\":\"2026-02-30"), ALL_KEYS, ERR_FORMAT,
     "'ts'"},
    {E(record_reason_of_another_type, R, "\"reason\":\"keyCompromise\"", "\"reason\":\"burned\""),
     ALL_KEYS, ERR_FORMAT, "reason"},
    {E(record_serial_with_a_blank, R, "\"sn\":\"A1-0007\"", "\"sn\":\"A1 0007\""), ALL_KEYS,
     ERR_FORMAT, "blank"},
    {E(record_product_too_long, R, "\"prod\":\"09506000134352\"",
       "\"prod\":\"00000000000000000000000000000000000000000000000000000000000000001\""),
     ALL_KEYS, ERR_FORMAT, "'prod'"},
    {E(record_chip_in_capitals, R, "\"chip\":\"", "\"chip\":\"AB"), ALL_KEYS, ERR_FORMAT, "'chip'"},
    {E(record_chip_of_half_a_byte, R, "\"chip\":\"", "\"chip\":\"0"), ALL_KEYS, ERR_FORMAT,
     "'chip'"},
    {E(record_random_too_short, R, "\"n\":\"", "\"n\":\"AAAA\",\"m\":\""), ALL_KEYS, ERR_FORMAT,
     ""},
    {E(record_with_a_foreign_member, R, "\"n\":\"", "\"mode\":\"hsm\",\"n\":\""), ALL_KEYS,
     ERR_FORMAT, "'mode'"},
    {E(record_of_an_unknown_order, R, "\"order\":\"3e", "\"order\":\"3f"), ALL_KEYS, ERR_INCOMPLETE,
     "order"},
    {E(record_critical_extension, R, "\"ev\":\"", "\"crit\":[\"f\"],\"ev\":\""), ALL_KEYS,
     ERR_FORMAT, "crit"},
    {E(record_certificate_is_garbage, R, "\"cert\":\"MII", "\"cert\":\"AII"), ALL_KEYS, ERR_FORMAT,
     "certificate"},
    {E(record_certificate_unpadded, R, "\",\"chip\":\"", "A\",\"chip\":\""), ALL_KEYS, ERR_FORMAT,
     "'cert'"},
    {E(record_udi_without_gtin, R, "\"gtin\":\"09506000134352\",", ""), ALL_KEYS, ERR_FORMAT,
     "gtin"},
    {E(record_udi_at_no_date, R, "\"mfd\":\"2026-11-21\"", "\"mfd\":\"2026-11-31\""), ALL_KEYS,
     ERR_FORMAT, "2026-11-31"},
    {E(record_firmware_hash_short, R, "\"fw\":{\"debug\":false,\"sha256\":\"",
       "\"fw\":{\"debug\":false,\"sha256\":\"00"),
     ALL_KEYS, ERR_FORMAT, "'sha256'"},
    {D(records_of_the_manifest_before), ALL_KEYS, ERR_INCOMPLETE, "totals"},
    {D(revoked_twice), ALL_KEYS, ERR_DUPLICATE, "a revocation stands twice"},

    {D(evidence_cut), ALL_FILES, ERR_INCOMPLETE, "cut in line 2"},
    {D(evidence_with_a_line_more), ALL_FILES, ERR_INCOMPLETE, "no record names"},
    {E(evidence_not_canonical, EVIDENCE, "\",\"nonce\"", "\", \"nonce\""), NAMED_KEYS, ERR_FORMAT,
     EVIDENCE},
    {E(evidence_member_more, EVIDENCE, "\"tx\":\"", "\"t\":1,\"tx\":\""), NAMED_KEYS, ERR_FORMAT,
     "'tx'"},
    {E(evidence_member_missing, EVIDENCE, "\"att\":\"\",", ""), NAMED_KEYS, ERR_FORMAT, "'att'"},
    {E(evidence_with_an_attestation, EVIDENCE, "\"att\":\"\"", "\"att\":\"AgE=\""), NAMED_KEYS,
     ERR_FORMAT, "'att'"},
    {E(evidence_nonce_short, EVIDENCE, "\"nonce\":\"", "\"nonce\":\"AAAA"), NAMED_KEYS, ERR_FORMAT,
     "'nonce'"},
    {E(evidence_proof_unknown, EVIDENCE, "\"proof\":\"AgEC", "\"proof\":\"AwEC"), NAMED_KEYS,
     ERR_FORMAT, "'proof'"},
    {E(evidence_proof_of_a_derived_key, EVIDENCE, "\"proof\":\"AgEC", "\"proof\":\"AgIC"),
     NAMED_KEYS, ERR_FORMAT, "'proof'"},
    {E(evidence_life_cycle_unknown, EVIDENCE, "\"proof\":\"AgEC", "\"proof\":\"AgED"), NAMED_KEYS,
     ERR_PROOF, "locked"},
    {E(evidence_of_another_count, EVIDENCE, "\"proof\":\"AgECAAAAA", "\"proof\":\"AgECAAAAB"),
     NAMED_KEYS, ERR_PROOF, "does not verify"},
    {E(evidence_station_unknown, EVIDENCE, "\"sig\":\"AgE", "\"sig\":\"AwE"), NAMED_KEYS,
     ERR_FORMAT, "'sig'"},
    {E(evidence_of_another_environment, EVIDENCE, "\"x\":\"AAIAC2Rl", "\"x\":\"AAIAC2Rm"),
     NAMED_KEYS, ERR_PROOF, "environment"},
    {E(evidence_transcript_malformed, EVIDENCE, "\"x\":\"AAIAC", "\"x\":\"AAIA/"), NAMED_KEYS,
     ERR_FORMAT, "transcript"},
    {E(evidence_transcript_empty, EVIDENCE, "\"x\":\"AAIA", "\"x\":\"\",\"y\":\"AAIA"), NAMED_KEYS,
     ERR_FORMAT, ""},

    {D(packed_flipped), 0, ERR_INTEGRITY, PACKED},
    {D(packed_flipped_and_listed), 0, ERR_INTEGRITY, DEVICES},
    {D(packed_cut), 0, ERR_INCOMPLETE, PACKED},
    {D(packed_cut_and_listed), 0, ERR_INCOMPLETE, "is cut: copy"},
    {D(packed_garbage), 0, ERR_FORMAT, "Unknown frame"},
    {D(packed_missing), 0, ERR_INCOMPLETE, "is missing"},
    {D(packed_of_the_manifest_before), 0, ERR_INTEGRITY, "holds more"},
    {D(packed_longer_than_listed), 0, ERR_INTEGRITY, "holds more"},
    {D(packed_bomb), 0, ERR_FORMAT, "more than 100 times"},
    {D(packed_bomb_that_hides), 0, ERR_INTEGRITY, "holds more"},
    {D(packed_wants_memory), 0, ERR_FORMAT, "memory"},
    {D(packed_without_plain_listed), 0, ERR_INCOMPLETE, "and not"},
    {D(packed_is_a_link), 0, ERR_INTEGRITY, "symbolic link"},
    {D(packed_beside_another_plain), 0, ERR_INTEGRITY, DEVICES},
    {D(packed_checkpoint), 0, ERR_INTEGRITY, "not listed"},
};

const size_t damage_lines_count = sizeof damage_lines / sizeof *damage_lines;

size_t damage_count(void)
{
    return damage_basic_count + damage_signed_count + damage_second_count + damage_lines_count +
           damage_chain_count;
}

const struct damage *damage_kind(size_t i)
{
    if (i < damage_basic_count)
        return &damage_basic[i];
    i -= damage_basic_count;
    if (i < damage_signed_count)
        return &damage_signed[i];
    i -= damage_signed_count;
    if (i < damage_second_count)
        return &damage_second[i];
    i -= damage_second_count;
    return i < damage_lines_count ? &damage_lines[i] : &damage_chain[i - damage_lines_count];
}

void damage_do(const struct damage *d)
{
    if (d->make)
        d->make();
    else
        damage_replace(two, d->file, d->find, d->put);
    if (d->repair & DAMAGE_NAMED)
        damage_name_evidence(two, 0);
    if (d->repair)
        kit_repair(&kit, two, d->repair & ~(unsigned)DAMAGE_NAMED);
}
