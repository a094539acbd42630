/* How a job has keys made (job.h). */
#include "station/job.h"

#include <string.h>

static const struct {
    const char *name;
    enum imprint_mode mode;
} modes[] = {
    {"hsm", IMPRINT_MODE_HSM}, {"device", IMPRINT_MODE_DEVICE}, {"derived", IMPRINT_MODE_DERIVED}};

#define MODES (sizeof modes / sizeof *modes)

/* The mode that the job names, or the first that its order allows; MODES for no such word. */
static size_t find_mode(const struct job *job, const struct order *order)
{
    size_t i = 0;

    while (i < MODES && (*job->key_mode ? strcmp(job->key_mode, modes[i].name)
                                        : !(order->key_modes & modes[i].mode)))
        i++;
    return i;
}

static int check_symmetric(const struct job *job, const struct order *order, enum imprint_mode mode,
                           struct error *err)
{
    if (!job->symmetric_key)
        return 0;
    if (mode != IMPRINT_MODE_HSM)
        return error_set(err, ERR_INPUT,
                         "%s: 'symmetric_key' is one beside a key from the HSM: take it out, or "
                         "set 'key_mode: hsm'",
                         job->path);
    if (order->symmetric_key)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "%s: order '%s' allows no symmetric key beside a private one: take "
                     "'symmetric_key' out",
                     job->path, order->id);
}

int job_mode(const struct job *job, const struct order *order, enum imprint_mode *mode,
             struct error *err)
{
    size_t found = find_mode(job, order);

    if (found == MODES)
        return error_set(err, ERR_INPUT, "%s: 'key_mode' is '%s': expected hsm, device or derived",
                         job->path, job->key_mode);
    *mode = modes[found].mode;
    if (*mode == IMPRINT_MODE_DEVICE && job->serials.source == SOURCE_LISTED)
        return error_set(err, ERR_REFUSED,
                         "%s: a list of serials is for keys from the HSM: where devices make their "
                         "own, serials are assigned, scanned or the device's",
                         job->path);
    if (order->key_modes & *mode)
        return check_symmetric(job, order, *mode, err);
    return error_set(err, ERR_REFUSED,
                     "%s: order '%s' does not allow key mode '%s': choose one of its 'key_modes'",
                     job->path, order->id, modes[found].name);
}

int job_key(const struct job *job, const struct order *order, enum key_type *type,
            struct error *err)
{
    enum key_type only = KEY_P256;

    for (int i = 0; i < KEY_TYPES; i++)
        if (order->keys == 1u << i)
            only = (enum key_type)i;
    *type = only;
    if (*job->key && !key_type_named(job->key, type))
        return error_set(err, ERR_INPUT, "%s: 'key' must be one of " KEY_TYPE_NAMES, job->path);
    if (order->keys >> *type & 1)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "%s: order '%s' does not allow keys of type %s: choose one of its 'keys'",
                     job->path, order->id, key_type_name(*type));
}

int job_no_certificate(const struct job *job, struct error *err)
{
    const struct job_certificate *c = &job->certificate;

    if (*job->key)
        return error_set(err, ERR_INPUT,
                         "%s: a derived key is symmetric and of one type: take 'key' out",
                         job->path);
    if (!*c->profile_path && !*c->organization && !*c->hardware_type && !*c->vendor_id &&
        !*c->product_id)
        return 0;
    return error_set(err, ERR_INPUT,
                     "%s: in key mode 'derived' there are no certificates: take 'certificate' out",
                     job->path);
}
