#include "manifest_fixture.h"

#include "base/file.h"

#include <string.h>
#include <unistd.h>

struct error err;
struct kit kit;
char top[64], one[PATH_MAX], two[PATH_MAX], three[PATH_MAX];

void begin(void)
{
    /* hundreds of samples, of which each file is synced: in memory where there is room */
    strcpy(top, access("/dev/shm", W_OK) == 0 ? "/dev/shm/check_manifest_XXXXXX"
                                              : "/tmp/check_manifest_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    kit_init(&kit, top);
    kit_sample(&kit);
    snprintf(one, sizeof one, "%s/1", top);
    snprintf(two, sizeof two, "%s/2", top);
    snprintf(three, sizeof three, "%s/3", top);
}

void end(void)
{
    kit_done(&kit);
    ASSERT_OK(file_remove_tree(top, &err), err);
}

void make_fork(char fork_two[PATH_MAX], char fork_three[PATH_MAX])
{
    struct manifest_state state, forked;
    struct kit_batch b;
    struct kit_device d;

    ASSERT_OK(seal_state_read(one, &state, &err), err);
    kit.totals.good = 4;
    kit.totals.revoked = kit.totals.replaced = 0;
    kit_begin(&b, &kit, "2b", &state);
    kit_device_init(&kit, &d, "B1-0001");
    kit_add(&b, &d);
    kit_end(&b, &forked);
    kit_device_done(&d);
    kit_begin(&b, &kit, "3b", &forked);
    kit_end(&b, NULL);
    snprintf(fork_two, PATH_MAX, "%s/2b", top);
    snprintf(fork_three, PATH_MAX, "%s/3b", top);
}

int verify(const char *dir, const char *after)
{
    struct verify_policy policy = kit_policy(&kit);
    struct verify_report report;

    policy.after = after;
    err.text[0] = 0;
    return manifest_verify(dir, &policy, &report, &err);
}
