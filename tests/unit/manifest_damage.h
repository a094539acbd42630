/*
 * manifest_damage: ways to damage the files of a sealed manifest. Failures end the process.
 */
#ifndef TESTS_MANIFEST_DAMAGE_H
#define TESTS_MANIFEST_DAMAGE_H

#include "manifest_kit.h"

#define DEVICES  "devices-00000.jsonl"
#define EVIDENCE "evidence-00000.jsonl"

/* Replaces the first find in a file, which must have it. */
void damage_replace(const char *dir, const char *name, const char *find, const char *put);

/* Changes the digit of hexadecimal or base64 that stands skip characters behind the first marker.
 */
void damage_flip(const char *dir, const char *name, const char *marker, size_t skip);

/* Leaves out, repeats or exchanges lines, counted from 0. */
void damage_drop_line(const char *dir, const char *name, size_t line);
void damage_repeat_line(const char *dir, const char *name, size_t line);
void damage_swap_lines(const char *dir, const char *name, size_t one, size_t other);

void damage_cut(const char *dir, const char *name, size_t bytes); /* off the end */
void damage_append(const char *dir, const char *name, const char *text);
void damage_remove(const char *dir, const char *name);
void damage_write(const char *dir, const char *name, const char *text);
void damage_copy(const char *from_dir, const char *to_dir, const char *name);
void damage_rename(const char *dir, const char *name, const char *to);
void damage_symlink(const char *dir, const char *name); /* moves it away, and links to it */

/* Makes record line number line name the evidence line of that number as it is now. */
void damage_name_evidence(const char *dir, size_t line);

/* in with put in the place of find, which it must have, to out. */
struct damage_edit {
    const char *find, *put;
};
void damage_line(const struct buf *in, const struct damage_edit *e, struct buf *out);

/* Reads the statement, lets edit change it, and writes it back. */
void damage_statement(const char *dir, void (*edit)(struct statement *s, void *context),
                      void *context);

#endif
