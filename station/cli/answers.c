#include "station/cli/answers.h"

#include "base/file.h"
#include "station/schema/schema.h"
#include "station/vault/ceremony.h"

#include <errno.h>
#include <libgen.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A place is a path, in a file relative to that file. A library without a slash is looked for by
 * the system, and is a place otherwise. */
enum kind { WORD, PLACE, LIBRARY };

/* A question, which is also a field of the file, and an option with '-' for '_'. */
struct question {
    struct schema_field field;
    enum kind kind;
    bool needed;
    const char *fallback; /* what an empty answer means; NULL: nothing, "" is said in the meaning */
};

#define QUESTION(member, what_kind, is_needed, most, is_fallback, what)                            \
    {                                                                                              \
        .field = {.name = #member,                                                                 \
                  .type = SCHEMA_TEXT,                                                             \
                  .offset = offsetof(struct answers, member),                                      \
                  .min = 1,                                                                        \
                  .max = most,                                                                     \
                  .meaning = what},                                                                \
        .kind = what_kind, .needed = is_needed, .fallback = is_fallback                            \
    }

static const struct question questions[] = {
    QUESTION(name, WORD, true, 64, NULL, "the station's name, as its certificate will say it"),
    QUESTION(environment, WORD, true, 16, "development", "development, staging or production"),
    QUESTION(origin, WORD, true, 128, NULL, "name of the log, such as acme.example/wl/line1"),
    QUESTION(customer, WORD, true, 128, NULL, "for whom the manifests are"),
    QUESTION(organization, WORD, true, 64, NULL, "organization in the names of the authorities"),
    QUESTION(order_signers, PLACE, true, PATH_MAX - 1, NULL,
             "PEM file: certificates of those who may sign work orders"),
    QUESTION(custodians, PLACE, false, PATH_MAX - 1, "nobody",
             "PEM file: certificates of those who will sign the transcript"),
    QUESTION(root, WORD, false, 7, "own",
             "own, or company: the issuing CA is certified by the company's CA"),
    QUESTION(pin_file, PLACE, false, PATH_MAX - 1, "ask each time", "file with the token's PIN"),
    QUESTION(so_pin_file, PLACE, false, PATH_MAX - 1, "ask now",
             "file with the security officer's PIN"),
    QUESTION(module, LIBRARY, false, PATH_MAX - 1, "SoftHSM2, in the station's directory",
             "PKCS#11 module"),
    QUESTION(module_arguments, WORD, false, 1023, "none",
             "what the module wants said when it starts"),
    QUESTION(token, WORD, false, 256, "the station's name", "label or pkcs11: URI of the token"),
    QUESTION(ca_module, LIBRARY, false, PATH_MAX - 1, "none",
             "PKCS#11 module of a token for the CA's keys alone"),
    QUESTION(ca_module_arguments, WORD, false, 1023, "none",
             "what that module wants said when it starts"),
    QUESTION(ca_token, WORD, false, 256, "", "label or pkcs11: URI of that token"),
    QUESTION(ca_pin_file, PLACE, false, PATH_MAX - 1, "ask each time",
             "file with that token's PIN"),
    QUESTION(ca_algorithm, WORD, false, 15, "p256",
             "keys of root and issuing CA: " CA_ALGORITHM_NAMES),
    QUESTION(counter, WORD, false, 15, "none",
             "NV index of a TPM 2.0 for a counter against copies, such as 0x01800100"),
    QUESTION(tpm, WORD, false, 255, CEREMONY_TPM, "where that TPM is, as a TCTI of tpm2-tss"),
};

#define QUESTIONS (sizeof questions / sizeof *questions)

static char *answer_of(struct answers *a, const struct question *q)
{
    return (char *)a + q->field.offset;
}

static void option_name(const struct question *q, char out[32])
{
    snprintf(out, 32, "%s", q->field.name);
    for (char *p = out; *p; p++)
        if (*p == '_')
            *p = '-';
}

/* What goes into certificates and canonical JSON is ASCII; a path may be anything. */
static int check_word(const char *what, const struct question *q, const char *value,
                      struct error *err)
{
    if (strlen(value) > (size_t)q->field.max)
        return error_set(err, ERR_USAGE, "%s takes at most %d characters", what, (int)q->field.max);
    for (const char *p = value; q->kind == WORD && *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            return error_set(err, ERR_USAGE, "%s takes printable ASCII only", what);
    return 0;
}

static bool is_place(const struct question *q, const char *value)
{
    return q->kind == PLACE || (q->kind == LIBRARY && strchr(value, '/'));
}

/* A path of the file is relative to the file. */
static int resolve(const char *file, char path[PATH_MAX], struct error *err)
{
    char copy[PATH_MAX], joined[PATH_MAX];
    int rc;

    if (!*path || path[0] == '/')
        return 0;
    snprintf(copy, sizeof copy, "%s", file);
    rc = file_join(joined, sizeof joined, dirname(copy), path, err);
    if (rc == 0)
        strcpy(path, joined);
    return rc;
}

static int read_file(const char *file, struct answers *a, struct error *err)
{
    struct schema_field fields[QUESTIONS + 1] = {{.name = NULL}};
    int rc;

    for (size_t i = 0; i < QUESTIONS; i++)
        fields[i] = questions[i].field;
    rc = schema_read(file, fields, a, err);
    for (size_t i = 0; rc == 0 && i < QUESTIONS; i++) {
        const struct question *q = &questions[i];

        rc = check_word(q->field.name, q, answer_of(a, q), err);
        if (rc) {
            error_recode(err, ERR_INPUT);
            rc = error_prefix(err, "%s", file);
        } else if (is_place(q, answer_of(a, q))) {
            rc = resolve(file, answer_of(a, q), err);
        }
    }
    return rc;
}

static int read_options(const struct cli *cli, struct answers *a, struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < QUESTIONS; i++) {
        char name[32], what[40];
        const char *value;

        option_name(&questions[i], name);
        value = cli_value(cli, name);
        if (!value)
            continue;
        snprintf(what, sizeof what, "--%s", name);
        rc = check_word(what, &questions[i], value, err);
        if (rc == 0)
            strcpy(answer_of(a, &questions[i]), value);
    }
    return rc;
}

static const struct question *first_missing(struct answers *a)
{
    for (size_t i = 0; i < QUESTIONS; i++)
        if (questions[i].needed && !*answer_of(a, &questions[i]))
            return &questions[i];
    return NULL;
}

/* One line without its end; ERR_INTERRUPTED at the end of the input. */
static int read_line(FILE *tty, char *line, size_t size, struct error *err)
{
    if (!fgets(line, (int)size, tty))
        return error_set(err, ERR_INTERRUPTED, "the questions were not answered: nothing was made");
    line[strcspn(line, "\n")] = 0;
    return 0;
}

static int ask(FILE *tty, const struct question *q, char *answer, struct error *err)
{
    char line[PATH_MAX];
    struct error wrong;
    int rc;

    for (;;) {
        fprintf(tty, q->fallback ? "%s: %s [%s]: " : "%s: %s: ", q->field.name, q->field.meaning,
                q->fallback);
        rc = read_line(tty, line, sizeof line, err);
        if (rc)
            return rc;
        if (!*line && q->needed && q->fallback)
            snprintf(line, sizeof line, "%s", q->fallback);
        if (!*line && q->needed)
            fprintf(tty, "this is needed\n");
        else if (check_word(q->field.name, q, line, &wrong))
            fprintf(tty, "%s\n", wrong.text);
        else
            break;
    }
    strcpy(answer, line);
    return 0;
}

/* The built-in module takes no arguments; without a counter no TPM is needed; and who wants a token of
 * its own for the CA, or another algorithm, names it in the file or on the command line. */
static bool applies(const struct answers *a, const struct question *q)
{
    switch (q->field.offset) {
    case offsetof(struct answers, module_arguments):
        return *a->module;
    case offsetof(struct answers, tpm):
        return *a->counter;
    case offsetof(struct answers, ca_algorithm):
    case offsetof(struct answers, ca_module):
        return false;
    case offsetof(struct answers, ca_module_arguments):
    case offsetof(struct answers, ca_token):
    case offsetof(struct answers, ca_pin_file):
        return *a->ca_module;
    default:
        return true;
    }
}

static int ask_all(struct answers *a, struct error *err)
{
    FILE *tty = fopen("/dev/tty", "r+e");
    int rc = 0;

    if (!tty)
        return error_set_errno(err, errno, "cannot open the terminal");
    setvbuf(tty, NULL, _IONBF, 0);
    for (size_t i = 0; rc == 0 && i < QUESTIONS; i++)
        if (!*answer_of(a, &questions[i]) && applies(a, &questions[i]))
            rc = ask(tty, &questions[i], answer_of(a, &questions[i]), err);
    fclose(tty);
    return rc;
}

int answers_collect(const struct cli *cli, struct answers *out, struct error *err)
{
    const char *file = cli_value(cli, "file");
    const struct question *missing;
    char name[32];
    int rc = 0;

    memset(out, 0, sizeof *out);
    if (file)
        rc = read_file(file, out, err);
    if (rc == 0)
        rc = read_options(cli, out, err);
    if (rc)
        return rc;
    missing = first_missing(out);
    if (missing && isatty(STDIN_FILENO))
        return ask_all(out, err);
    if (!missing)
        return 0;
    option_name(missing, name);
    return error_set(err, ERR_USAGE,
                     "'imprint init' needs --%s, or '%s' in the file of --file, or a terminal to "
                     "ask; see 'imprint help init'",
                     name, missing->field.name);
}
