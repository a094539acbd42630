/* Signed notes and checkpoints: our own, and the example of the C2SP specification. */
#include "check_util.h"
#include "manifest_kit.h"
#include "vectors.h"

#include "manifests/note.h"

#include <string.h>

#define TEXT "factory.example/wl/line1\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

static struct error err;

/* A log key, its verifier key parsed from its own text, and a signed note. */
struct fixture {
    EVP_PKEY *key;
    struct note_key pin;
    struct buf note;
};

static void begin(struct fixture *f)
{
    struct buf text;

    f->key = kit_key();
    buf_init(&text, 1024);
    buf_init(&f->note, 65536);
    ASSERT_OK(note_key_write(KIT_ORIGIN, f->key, &text, &err), err);
    ASSERT_OK(note_key_parse((char *)text.data, text.len, &f->pin, &err), err);
    ASSERT_OK(note_sign(TEXT, strlen(TEXT), KIT_ORIGIN, f->key, &f->note, &err), err);
    buf_done(&text);
}

static void end(struct fixture *f)
{
    EVP_PKEY_free(f->key);
    note_key_done(&f->pin);
    buf_done(&f->note);
}

START_TEST(a_note_verifies_with_the_verifier_key_of_its_signer)
{
    struct fixture f;
    size_t len = 0;

    begin(&f);
    ASSERT_OK(note_verify(f.note.data, f.note.len, &f.pin, &len, &err), err);
    ck_assert_uint_eq(len, strlen(TEXT));
    ck_assert_mem_eq(f.note.data, TEXT, len);
    end(&f);
}
END_TEST

START_TEST(every_byte_of_a_note_matters)
{
    struct fixture f;
    size_t len;

    begin(&f);
    for (size_t i = 0; i < f.note.len; i++) {
        f.note.data[i] ^= 1;
        ck_assert_msg(note_verify(f.note.data, f.note.len, &f.pin, &len, &err) != 0, "byte %zu", i);
        f.note.data[i] ^= 1;
        ck_assert_msg(note_verify(f.note.data, i, &f.pin, &len, &err) != 0, "cut at %zu", i);
    }
    end(&f);
}
END_TEST

START_TEST(the_signature_of_another_key_is_refused)
{
    struct fixture f, other;
    size_t len;

    begin(&f);
    begin(&other);
    ASSERT_FAILS(note_verify(other.note.data, other.note.len, &f.pin, &len, &err), ERR_SIGNATURE);
    end(&f);
    end(&other);
}
END_TEST

START_TEST(signatures_of_witnesses_are_kept_and_ignored)
{
    struct fixture f;
    size_t len;

    begin(&f);
    buf_put_str(&f.note, "\xe2\x80\x94 witness.example AAAAAAAAAAAAAAAA\n");
    ASSERT_OK(note_verify(f.note.data, f.note.len, &f.pin, &len, &err), err);
    buf_put_str(&f.note, "\xe2\x80\x94 witness.example AAAA=AAAAAAA\n");
    ASSERT_FAILS(note_verify(f.note.data, f.note.len, &f.pin, &len, &err), ERR_FORMAT);
    end(&f);
}
END_TEST

START_TEST(a_second_wrong_signature_of_the_pinned_key_is_refused)
{
    struct fixture f, other;
    uint8_t *at;
    char *line;
    size_t len;

    begin(&f);
    begin(&other);
    /* The key id of f in front of a signature that is not f's. */
    line = strstr((char *)f.note.data, "\xe2\x80\x94");
    buf_put(&other.note, line, (size_t)((char *)f.note.data + f.note.len - line));
    /* Another character of the alphabet, so that the line stays well-formed. */
    at = &other.note.data[other.note.len - 12];
    *at = *at == 'A' ? 'B' : 'A';
    ASSERT_FAILS(note_verify(other.note.data, other.note.len, &f.pin, &len, &err), ERR_SIGNATURE);
    end(&f);
    end(&other);
}
END_TEST

START_TEST(verifier_keys_that_are_damaged_are_refused)
{
    static const char *const bad[] = {
        "",
        "name",
        "name+530d903a",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", /* key id */
        "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", /* name */
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+BekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", /* type */
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
        "example.com/foo+530d903a+",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    };
    struct note_key key;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(note_key_parse(bad[i], strlen(bad[i]), &key, &err) == ERR_FORMAT, "'%s'",
                      bad[i]);
}
END_TEST

START_TEST(texts_and_names_that_cannot_be_a_note_are_not_signed)
{
    EVP_PKEY *key = kit_key();
    struct buf note;

    buf_init(&note, 4096);
    ASSERT_FAILS(note_sign("no line end", 11, KIT_ORIGIN, key, &note, &err), ERR_INPUT);
    ASSERT_FAILS(note_sign("tab\t\n", 5, KIT_ORIGIN, key, &note, &err), ERR_INPUT);
    ASSERT_FAILS(note_sign("", 0, KIT_ORIGIN, key, &note, &err), ERR_INPUT);
    ASSERT_FAILS(note_sign("a\n", 2, "na me", key, &note, &err), ERR_INPUT);
    ASSERT_FAILS(note_sign("a\n", 2, "na+me", key, &note, &err), ERR_INPUT);
    ASSERT_FAILS(note_sign("a\n", 2, "", key, &note, &err), ERR_INPUT);
    ck_assert_uint_eq(note.len, 0);
    EVP_PKEY_free(key);
}
END_TEST

START_TEST(a_checkpoint_reads_back_as_it_was_written)
{
    struct checkpoint c = {.origin = KIT_ORIGIN, .size = 7}, again;
    struct buf text;

    buf_init(&text, 1024);
    checkpoint_write(&c, &text);
    ck_assert_uint_eq(text.len, strlen(TEXT));
    ck_assert_mem_eq(text.data, TEXT, text.len);
    ASSERT_OK(checkpoint_parse(text.data, text.len, &again, &err), err);
    ck_assert_str_eq(again.origin, KIT_ORIGIN);
    ck_assert_uint_eq(again.size, 7);
    buf_done(&text);
}
END_TEST

START_TEST(checkpoints_in_another_form_are_refused)
{
#define ROOT "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    static const char *const bad[] = {
        "",
        "log\n",
        "log\n7\n",
        "log\n7\n" ROOT,
        "log\n07\n" ROOT "\n",
        "log\n-7\n" ROOT "\n",
        "log\n7 \n" ROOT "\n",
        "log\n\n" ROOT "\n",
        "\n7\n" ROOT "\n",
        "l og\n7\n" ROOT "\n",
        "log\n7\nAAAA\n",
        "log\n7\n" ROOT "\nextension\n",
        "log\n99999999999999999999\n" ROOT "\n",
    };
    struct checkpoint c;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(checkpoint_parse(bad[i], strlen(bad[i]), &c, &err) == ERR_FORMAT, "'%s'",
                      bad[i]);
}
END_TEST

START_TEST(the_example_of_the_c2sp_specification_verifies)
{
    struct buf note, text;
    struct note_key key;
    size_t len;

    if (!vectors_present())
        return;
    buf_init(&note, 4096);
    buf_init(&text, 4096);
    vectors_read("note/signed-note-example.note", &note);
    vectors_read("note/signed-note-example.vkey", &text);
    ASSERT_OK(note_key_parse((char *)text.data, text.len, &key, &err), err);
    ck_assert_int_eq(key.type, NOTE_ED25519);
    ck_assert_str_eq(key.name, "example.com/foo");
    ASSERT_OK(note_verify(note.data, note.len, &key, &len, &err), err);
    ck_assert_uint_eq(len, strlen("This is an example message.\n"));
    note.data[0] ^= 1;
    ASSERT_FAILS(note_verify(note.data, note.len, &key, &len, &err), ERR_SIGNATURE);
    note_key_done(&key);
    buf_done(&note);
    buf_done(&text);
}
END_TEST

CHECK_MAIN("note", a_note_verifies_with_the_verifier_key_of_its_signer,
           every_byte_of_a_note_matters, the_signature_of_another_key_is_refused,
           signatures_of_witnesses_are_kept_and_ignored,
           a_second_wrong_signature_of_the_pinned_key_is_refused,
           verifier_keys_that_are_damaged_are_refused,
           texts_and_names_that_cannot_be_a_note_are_not_signed,
           a_checkpoint_reads_back_as_it_was_written, checkpoints_in_another_form_are_refused,
           the_example_of_the_c2sp_specification_verifies)
