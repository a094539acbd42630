#!/bin/sh
# The agent as a firmware author gets it: strict C99, freestanding, no heap, and small; clean, its ports
# too, under every warning and analyzer.
#
# usage: agent.sh SOURCE_DIR
set -eu
cd "$1"
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
fail() { echo "agent.sh: $*" >&2; exit 1; }

sources=$(ls lib/agent/*.c | grep -v /port_)
[ "$(echo "$sources" | wc -l)" -ge 5 ] || fail "hardly any source: wrong folder?"

# What a firmware that only takes keys from an HSM leaves out.
hsm_only=$(sed -n 's/^#define \(IMPRINT_AGENT_WITH_[A-Z_]*\) 1\b.*/-D\1=0/p' lib/agent/agent.h)
[ "$(echo "$hsm_only" | wc -l)" -ge 4 ] || fail "agent.h has hardly any switch"
# What one with keys of every type adds.
every_key=$(sed -n 's/^#define \(IMPRINT_AGENT_WITH_[A-Z_]*\) 0\b.*/-D\1=1/p' lib/agent/agent.h)
[ -n "$every_key" ] || fail "agent.h has nothing that is left out by default"
every_key="$every_key -DIMPRINT_AGENT_FRAME_MAX=2048 -DIMPRINT_AGENT_SLOT_SIZE=16384"

strict="-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wmissing-prototypes -Wcast-qual
    -Wvla -Werror -ffreestanding -fno-pie -Ilib"
stricter="-Wcast-align=strict -Wdouble-promotion -Wduplicated-branches -Wduplicated-cond -Wformat=2
    -Winit-self -Wjump-misses-init -Wlogical-op -Wnull-dereference -Wold-style-definition
    -Wpointer-arith -Wredundant-decls -Wsign-conversion -Wstack-usage=1536 -Wstrict-prototypes
    -Wswitch-enum -Wundef -Wunused-macros -Wwrite-strings"
for source in $sources; do
    cc $strict $stricter -fanalyzer -Os -c "$source" -o "$temp/$(basename "$source").o" ||
        fail "$source does not compile as strict C99, or the analyzer complains"
    cc $strict $stricter -fanalyzer -Os $hsm_only -c "$source" -o "$temp/without.o" ||
        fail "$source does not compile for firmware that only takes keys from an HSM"
    rm "$temp/without.o"
    cc $strict $stricter -Wstack-usage=5120 -fanalyzer -Os $every_key -c "$source" -o "$temp/with.o" ||
        fail "$source does not compile for firmware with keys of every type, or the analyzer complains"
    mv "$temp/with.o" "$temp/$(basename "$source").every"
done

# The ports are hosted: they call the libraries that they stand on.
ports=$(ls lib/agent/port_*.c)
for port in $ports; do
    cc $strict $stricter -Wstack-usage=5120 $every_key -fhosted -fanalyzer -Os -c "$port" -o "$temp/port.o" ||
        fail "$port does not compile as strict C99, or the analyzer complains"
    rm "$temp/port.o"
done

# Other analyzers. Style that this project has on purpose is left out.
for tool in clang clang-tidy cppcheck; do
    command -v $tool >/dev/null || fail "there is no $tool: tools/packages test installs it"
done
# analyze FLAG SOURCE...
analyze() {
    flag=$1
    shift
    clang -std=c99 -Weverything -Werror -Wno-declaration-after-statement -Wno-padded \
        -Wno-disabled-macro-expansion $flag -Ilib -fsyntax-only "$@" || fail "clang complains"
    clang-tidy --quiet --warnings-as-errors='*' -checks='-*,bugprone-*,cert-*,clang-analyzer-*,misc-*,
        performance-*,portability-*,-bugprone-easily-swappable-parameters' "$@" \
        -- -std=c99 $flag -Ilib 2>"$temp/tidy" || { cat "$temp/tidy" >&2; fail "clang-tidy complains"; }
    cppcheck --quiet --std=c99 --enable=warning,style,performance,portability --error-exitcode=1 \
        --suppress=variableScope --suppress=redundantContinue -Ilib "$@" || fail "cppcheck complains"
}
analyze -ffreestanding $sources
analyze "-ffreestanding $every_key" $sources
analyze "-fhosted $every_key" $ports

# Nothing is called but four functions of <string.h>; the stack protector is the compiler's own.
check_symbols() {
    ld -r "$@" -o "$temp/agent"
    strange=$(nm -u "$temp/agent" | awk '{print $2}' |
        grep -vxE 'mem(cpy|set|cmp|move)|strlen|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_' || true)
    [ -z "$strange" ] || fail "the agent calls $strange"
    visible=$(nm -g --defined-only "$temp/agent" | awk '{print $3}' | grep -v '^imprint_agent_' || true)
    [ -z "$visible" ] || fail "names without the prefix imprint_agent_: $visible"
    changing=$(nm "$temp/agent" | awk '$2 ~ /^[bBdDC]$/ {print $3}')
    [ -z "$changing" ] || fail "static variables: $changing"
}
check_symbols "$temp"/*.o
check_symbols "$temp"/*.every
included=$(sed -n 's/^#include <\(.*\)>/\1/p' $sources lib/agent/[a-oq-z]*.h | sort -u |
    grep -vxE 'std(bool|def|int).h|string.h' || true)
[ -z "$included" ] || fail "headers that a freestanding compiler may lack: $included"

# Code and static memory on a Cortex-M3. Without a cross compiler clang does, given a <string.h>.
mkdir "$temp/include"
cat >"$temp/include/string.h" <<'END'
#include <stddef.h>
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
size_t strlen(const char *);
END
if command -v arm-none-eabi-gcc >/dev/null 2>&1; then
    cross="arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -Os -ffunction-sections"
    size=arm-none-eabi-size
elif command -v clang >/dev/null 2>&1 && clang --print-targets | grep -q thumb; then
    cross="clang --target=thumbv7m-none-eabi -mcpu=cortex-m3 -Oz -isystem $temp/include"
    size=size
else
    echo "agent.sh: no compiler for Cortex-M here: the size is not checked"
    exit 0
fi
echo '#include "agent/agent.h"
char agent_size[sizeof(struct imprint_agent)];' >"$temp/ram.c"
# Code and constants; not the unwinding tables, which C firmware discards.
sections() { $size -A "$@" | awk '$1 ~ /^\.(text|rodata|data|bss)/ {sum += $2} END {print sum + 0}'; }
# measure CONFIGURATION SWITCH...: sets code and ram
measure() {
    what=$1
    shift
    rm -f "$temp"/*.o
    for source in $sources "$temp/ram.c"; do
        $cross -std=c99 -ffreestanding -Wall -Wextra -Werror "$@" -Ilib -c "$source" \
            -o "$temp/$(basename "$source" .c).o" || fail "$source does not compile: $what"
    done
    floating=$(nm -u "$temp"/*.o 2>/dev/null | grep -E '__aeabi_([dfc]|[a-z]*2[df])[a-z0-9]*' || true)
    [ -z "$floating" ] || fail "floating point: $floating"
    ram=$(sections "$temp/ram.o")
    rm "$temp/ram.o"
    code=$(sections "$temp"/*.o)
    echo "Cortex-M3, $what: $code bytes of code, $ram bytes of static memory"
    [ "$code" -gt 1000 ] && [ "$ram" -gt 1000 ] || fail "that is too small to be true"
    [ "$ram" -le 4096 ] || fail "more than 4 kB of static memory"
}
for switch in $hsm_only; do # each alone compiles as well
    measure "without ${switch%=0}" "$switch" >/dev/null
done
measure "only keys from an HSM" $hsm_only
[ "$code" -le 10240 ] || fail "more than 10 kB of code"
measure "all that the agent can do"
measure "with keys of every type" $every_key
