#include "station/vault/token_files.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TOKENS         "tokens"
#define COPIES         "tokens.keep"
#define TOKEN_FILE_MAX 65536
#define GENERATION_SIZE                                                                            \
    8 /* the counter that each write advances; the rest tells two files apart                      \
       */

/* Calls visit for each token folder of the station. */
static int each_token(const struct config *config,
                      int (*visit)(const struct config *config, const char *token,
                                   struct error *err),
                      struct error *err)
{
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *dir;
    int rc = config_path(config, "softhsm2.conf", path, err);

    if (rc || !file_exists(path))
        return rc;
    rc = config_path(config, TOKENS, path, err);
    if (rc)
        return rc;
    dir = opendir(path);
    if (!dir)
        return error_set_errno(err, errno, "cannot open folder '%s'", path);
    while (rc == 0 && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            rc = visit(config, entry->d_name, err);
    closedir(dir);
    return rc;
}

static int token_path(const struct config *config, const char *token, char out[PATH_MAX],
                      struct error *err)
{
    char name[PATH_MAX];

    snprintf(name, sizeof name, TOKENS "/%.64s/token.object", token);
    return config_path(config, name, out, err);
}

static int copy_path(const struct config *config, const char *token, char out[PATH_MAX],
                     struct error *err)
{
    char name[PATH_MAX];

    snprintf(name, sizeof name, COPIES "/%.64s", token);
    return config_path(config, name, out, err);
}

/* A file that is not there reads as empty. */
static int read_if_there(const char *path, struct buf *out, struct error *err)
{
    buf_reset(out);
    return file_exists(path) ? file_read(path, out, err) : 0;
}

/* Shorter than the copy, or zeros where the copy has contents: after a power cut. */
static bool is_torn(const struct buf *original, const struct buf *copy)
{
    if (original->len < copy->len)
        return true;
    for (size_t i = GENERATION_SIZE; i < original->len; i++)
        if (original->data[i])
            return false;
    return true;
}

static bool is_same(const struct buf *original, const struct buf *copy)
{
    return original->len == copy->len && original->len > GENERATION_SIZE &&
           memcmp(original->data + GENERATION_SIZE, copy->data + GENERATION_SIZE,
                  copy->len - GENERATION_SIZE) == 0;
}

/* Reads both files of a token, and lets use decide. */
static int with_both(const struct config *config, const char *token,
                     int (*use)(const char *original_path, const char *path,
                                const struct buf *original, const struct buf *copy,
                                struct error *err),
                     struct error *err)
{
    char original_path[PATH_MAX], path[PATH_MAX];
    struct buf original, copy;
    int rc = token_path(config, token, original_path, err);

    buf_init(&original, TOKEN_FILE_MAX);
    buf_init(&copy, TOKEN_FILE_MAX);
    if (rc == 0)
        rc = copy_path(config, token, path, err);
    if (rc == 0)
        rc = read_if_there(original_path, &original, err);
    if (rc == 0)
        rc = read_if_there(path, &copy, err);
    if (rc == 0)
        rc = use(original_path, path, &original, &copy, err);
    buf_done(&original);
    buf_done(&copy);
    return rc;
}

static int put_back(const char *original_path, const char *path, const struct buf *original,
                    const struct buf *copy, struct error *err)
{
    (void)path;
    if (copy->len == 0 || !is_torn(original, copy))
        return 0;
    return file_write(original_path, copy->data, copy->len, 0600, err);
}

static int refresh(const char *original_path, const char *path, const struct buf *original,
                   const struct buf *copy, struct error *err)
{
    (void)original_path;
    /* Another process may be in the middle of its own login: what is torn is not kept. */
    if (original->len == 0 || is_torn(original, copy) || is_same(original, copy))
        return 0;
    return file_write(path, original->data, original->len, 0600, err);
}

static int restore_token(const struct config *config, const char *token, struct error *err)
{
    return with_both(config, token, put_back, err);
}

static int keep_token(const struct config *config, const char *token, struct error *err)
{
    char path[PATH_MAX];
    int rc = config_path(config, COPIES, path, err);

    if (rc == 0)
        rc = file_make_dir(path, 0700, err);
    return rc ? rc : with_both(config, token, refresh, err);
}

int token_files_restore(const struct config *config, struct error *err)
{
    return each_token(config, restore_token, err);
}

int token_files_keep(const struct config *config, struct error *err)
{
    return each_token(config, keep_token, err);
}

int token_files_sync(const struct config *config, struct error *err)
{
    int fd = open(config->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

    if (fd < 0)
        return error_set_errno(err, errno, "cannot open folder '%s'", config->dir);
    if (syncfs(fd))
        rc = error_set_errno(err, errno, "cannot sync the disk of '%s'", config->dir);
    close(fd);
    return rc;
}
