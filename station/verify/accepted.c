#include "station/verify/accepted.h"

#include "base/file.h"
#include "manifests/trust/accept.h"
#include "station/verify/folders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int accepted_open(const char *state, struct accepted *a, struct error *err)
{
    return trust_open(state, TRUST_READ, &a->trust, err);
}

static int make_scratch(struct accepted *a, struct error *err)
{
    const char *tmp = getenv("TMPDIR");
    char path[PATH_MAX];
    int rc = file_join(path, sizeof path, tmp && *tmp ? tmp : "/tmp", "imprint-verify-XXXXXX", err);

    if (rc)
        return rc;
    if (!mkdtemp(path))
        return error_set_errno(err, errno, "cannot make the temporary folder '%s'", path);
    snprintf(a->scratch, sizeof a->scratch, "%s", path);
    return 0;
}

struct pass {
    struct accepted *accepted;
    struct verify_policy policy;
    struct trust_accepted outcome;
};

static int accept_one(void *context, const char *folder, struct error *err)
{
    struct pass *p = context;
    int rc = trust_accept(p->accepted->trust, folder, &p->policy, NULL, &p->outcome, err);

    return rc ? error_prefix(err, "the manifest in '%s'", folder) : 0;
}

static int accept_all(const char *manifests, const char *trust, struct accepted *a,
                      struct error *err)
{
    char root[PATH_MAX], device_root[PATH_MAX], log_key[PATH_MAX];
    struct pass *p = calloc(1, sizeof *p);
    int rc = p ? 0 : error_set(err, ERR_INTERNAL, "out of memory");

    if (rc == 0)
        rc = file_join(root, sizeof root, trust, "manifest-root.pem", err);
    if (rc == 0)
        rc = file_join(device_root, sizeof device_root, trust, "device-root.pem", err);
    if (rc == 0)
        rc = file_join(log_key, sizeof log_key, trust, "log.vkey", err);
    if (rc == 0) {
        p->accepted = a;
        p->policy = (struct verify_policy){
            .root = root, .device_root = device_root, .log_key = log_key, .skip_proofs = true};
        rc = folders_each(manifests, accept_one, p, err);
    }
    free(p);
    return rc;
}

int accepted_verify(const char *manifests, const char *trust, struct accepted *a, struct error *err)
{
    char state[PATH_MAX];
    int rc = make_scratch(a, err);

    if (rc == 0)
        rc = file_join(state, sizeof state, a->scratch, "state", err);
    if (rc == 0)
        rc = trust_open(state, TRUST_CREATE, &a->trust, err);
    return rc ? rc : accept_all(manifests, trust, a, err);
}

void accepted_done(struct accepted *a)
{
    struct error err = ERROR_INIT;

    trust_close(a->trust);
    a->trust = NULL;
    if (*a->scratch && file_remove_tree(a->scratch, &err))
        error_tell("imprint", &err);
    *a->scratch = 0;
}
