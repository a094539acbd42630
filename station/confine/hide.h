/*
 * hide: takes a folder out of sight of this process and of all that it starts.
 */
#ifndef STATION_CONFINE_HIDE_H
#define STATION_CONFINE_HIDE_H

#include <stdbool.h>

/*
 * From now on the folder is empty and cannot be written to, for this process, its children and whatever they
 * become; what was open stays open. User and group stay what they were, others are nobody, and root is root
 * over its own files alone. For a process with one thread that may be traced (before confine_memory). False
 * where the kernel does not allow it.
 */
bool hide_folder(const char *path);

#endif
