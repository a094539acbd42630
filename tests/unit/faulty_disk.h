/*
 * faulty_disk: a disk that fails on request, as SQLite sees it.
 *
 * faulty_disk_use makes an SQLite VFS the default that passes every call to the real one, counts those
 * that a kind of fault is about, and fails one of them, or that one and all after it. What a VFS is told
 * to write, sync, lock or delete is all that a database ever does to a disk.
 *
 * Waiting for a lock takes no time here.
 */
#ifndef TESTS_FAULTY_DISK_H
#define TESTS_FAULTY_DISK_H

#include <stdbool.h>

enum faulty_disk_kind {
    DISK_FULL,   /* nothing can be written: SQLITE_FULL */
    DISK_TORN,   /* half of what is to be written is, then an I/O error */
    DISK_ERROR,  /* any call at all: the I/O error of that call */
    DISK_SYNC,   /* a sync: an I/O error, and nobody knows what reached the disk */
    DISK_LOCKED, /* a lock is another's: SQLITE_BUSY */
    DISK_KINDS
};

struct faulty_disk_state {
    unsigned long calls;  /* that the kind is about, since faulty_disk_set */
    unsigned long faults; /* how many of them failed */
    const char *call;     /* the first of those, or NULL */
};

/* From now on every database that is opened lies on such a disk. */
void faulty_disk_use(void);

/* Fails call number at, from 1, and if for_ever those after it; 0: none. Counts anew. */
void faulty_disk_set(enum faulty_disk_kind kind, unsigned long at, bool for_ever);

/* Calls that a test makes for itself in between are neither counted nor failed. */
void faulty_disk_pause(bool pause);

struct faulty_disk_state faulty_disk_state(void);

#endif
