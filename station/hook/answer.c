#include "station/hook/answer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

void answer_plain(const char *text, size_t len, char out[HOOK_TEXT_MAX + 1])
{
    size_t n = 0;

    for (size_t i = 0; i < len && n < HOOK_TEXT_MAX; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c & 0xc0) == 0x80) /* goes on with the character before */
            continue;
        out[n++] = c < 0x20 || c > 0x7e ? '?' : (char)c;
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = 0;
}

static void fail(struct hook_answer *out, const char *why)
{
    out->verdict = HOOK_FAILED;
    snprintf(out->text, sizeof out->text, "%s", why);
}

static void read_members(const json_t *root, const char *id, struct hook_answer *out)
{
    const json_t *said = json_object_get(root, "id"), *accept = json_object_get(root, "accept");
    const json_t *reason = json_object_get(root, "reason");

    if (!json_is_string(said) || strcmp(json_string_value(said), id))
        fail(out, "its answer has not the 'id' of the question");
    else if (!json_is_boolean(accept))
        fail(out, "its answer has no 'accept' that is true or false");
    else if (reason && !json_is_string(reason))
        fail(out, "the 'reason' of its answer is no text");
    else
        out->verdict = json_is_true(accept) ? HOOK_YES : HOOK_NO;
    if (out->verdict != HOOK_FAILED && reason)
        answer_plain(json_string_value(reason), json_string_length(reason), out->text);
}

void answer_read(const void *bytes, size_t len, const char *id, struct hook_answer *out)
{
    json_error_t ignored;
    json_t *root;

    out->verdict = HOOK_FAILED;
    out->text[0] = 0;
    if (len == 0) {
        fail(out, "it said nothing");
        return;
    }
    if (len > ANSWER_MAX) {
        fail(out, "it said more than an answer can have");
        return;
    }
    root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &ignored);
    if (json_is_object(root))
        read_members(root, id, out);
    else
        fail(out, "its answer is no JSON object");
    json_decref(root);
}

void answer_id_of(const void *question, size_t len, char *out)
{
    json_error_t ignored;
    json_t *root = json_loadb(question, len, 0, &ignored);
    const char *id = json_string_value(json_object_get(root, "id"));

    out[0] = 0;
    if (id && strlen(id) == 2 * HOOK_ID_SIZE)
        strcpy(out, id);
    json_decref(root);
}
