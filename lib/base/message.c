#include "base/message.h"

#include "base/error.h"

#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By hash, ascending. tools/messages made it, and sees to it that no two messages have one hash. */
static const struct known {
    uint32_t hash;
    char letter;
    uint16_t number;
} known[] = {
#include "message_table.h"
};

/* FNV-1a, 32 bits. */
static uint32_t hash_of(const char *format)
{
    uint32_t hash = 2166136261u;

    for (; *format; format++)
        hash = (hash ^ (uint8_t)*format) * 16777619u;
    return hash;
}

static int compare(const void *key, const void *entry)
{
    uint32_t hash = *(const uint32_t *)key;
    const struct known *k = entry;

    return (hash > k->hash) - (hash < k->hash);
}

void message_code(const char *format, char code[MESSAGE_CODE_SIZE])
{
    uint32_t hash = hash_of(format);
    const struct known *found =
        bsearch(&hash, known, sizeof known / sizeof *known, sizeof *known, compare);

    *code = 0;
    if (found)
        snprintf(code, MESSAGE_CODE_SIZE, "%c-%u", found->letter, found->number % 10000u);
}

/* What the environment wants messages in, as the standard library reads it. */
static const char *wanted(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    const char *value = NULL;

    for (size_t i = 0; i < sizeof names / sizeof *names && (!value || !*value); i++)
        value = getenv(names[i]);
    return value && *value ? value : "C";
}

/*
 * The standard library translates only in a locale that is installed. A station need not have its
 * language's: then C.UTF-8, which every one has, carries what LANGUAGE or LANG names.
 */
static void choose_locale(void)
{
    const char *language = wanted();

    if (strcmp(language, "C") == 0 || strcmp(language, "POSIX") == 0)
        return;
    if (setlocale(LC_MESSAGES, ""))
        return;
    (void)setenv("LANGUAGE", language, 0);
    (void)setlocale(LC_MESSAGES, "C.UTF-8");
}

void message_language(void)
{
    const char *folder = getenv("IMPRINT_LOCALEDIR");

    choose_locale();
    (void)bindtextdomain("imprint", folder ? folder : IMPRINT_LOCALEDIR);
    (void)bind_textdomain_codeset("imprint", "UTF-8");
    (void)textdomain("imprint");
    (void)gettext("out of memory"); /* the file is opened by the first question */
}
