/*
 * tar: archives of regular files, as POSIX has them (ustar): a header of one block, then the file in whole
 * blocks, the last filled with zeros; two blocks of zeros at the end.
 *
 * Written are plain files of mode 0644 and nobody's. Read are the archives of every tar: what is no
 * regular file (folders, links, names and attributes of GNU and pax) is told as such, to be skipped.
 */
#ifndef BASE_TAR_H
#define BASE_TAR_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAR_BLOCK    512
#define TAR_NAME_MAX 100

struct tar_entry {
    char name[TAR_NAME_MAX + 1]; /* what is not printable ASCII as '?'; cut, without a prefix */
    uint64_t size;               /* octets that follow, without what fills the last block */
    bool regular, end;           /* end: a block of zeros */
};

/* The header of a file; name has at most TAR_NAME_MAX characters, size is below 8 GiB. */
void tar_header(const char *name, uint64_t size, int64_t mtime, uint8_t block[TAR_BLOCK]);

/* Whether a block is a header: its checksum is right. Errors: ERR_FORMAT. */
MUST_USE int tar_parse(const uint8_t block[TAR_BLOCK], struct tar_entry *out);

/* Zeros that follow so many octets. */
static inline size_t tar_padding(uint64_t size)
{
    return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

#endif
