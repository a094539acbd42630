/*
 * fuzz: what all fuzz targets share.
 *
 * A target is one program with LLVMFuzzerTestOneInput. libFuzzer drives it when it was built with
 * -Dfuzzers=true; otherwise replay.c does, with the files of corpus/<target>, in every test run.
 * What must hold is asserted with FUZZ_ASSERT, which NDEBUG does not remove.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_ASSERT(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
