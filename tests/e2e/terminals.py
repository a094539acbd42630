"""Pseudo-terminals of this process's own, so that two tests may run at the same time.

The kernel gives the number of a closed pseudo-terminal to the next one who opens one. A test that unplugs a
device leaves links to such numbers, and would find another test's device behind them. own() mounts an instance
of devpts that only this process and its children see; numbers begin with 0 in there. It takes root, or CAP_SYS_ADMIN.

    terminals.py PROGRAM [ARGUMENT...]   runs a program with its own; as it is where that may not be
    terminals.py                         ends with 0 where it may be, says why not otherwise
"""
import ctypes
import os
import sys

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000
libc = ctypes.CDLL(None, use_errno=True)


def require(result, doing):
    if result:
        raise OSError(ctypes.get_errno(), f"{doing}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind, flags, options=None):
    require(libc.mount(source, target, kind, ctypes.c_ulong(flags), options),
            f"mount on {target.decode()}")


def own():
    """Why this process has no terminals of its own, or None: now it has. One with threads cannot."""
    try:
        require(libc.unshare(CLONE_NEWNS), "unshare")
        mount(None, b"/", None, MS_REC | MS_PRIVATE)  # nothing of this is seen outside
        mount(b"devpts", b"/dev/pts", b"devpts", 0, b"newinstance,ptmxmode=0666,mode=620")
        mount(b"/dev/pts/ptmx", b"/dev/ptmx", None, MS_BIND)
    except OSError as error:
        return error.strerror
    return None


def own_or_say():
    """Takes them, or says that no other test may run meanwhile. Once for a process and its children."""
    if os.environ.setdefault("IMPRINT_TEST_TERMINALS", "own") == "own" and (why := own()):
        print(f"terminals of its own: {why}: run no other test that has devices meanwhile",
              file=sys.stderr)
    os.environ["IMPRINT_TEST_TERMINALS"] = "had"


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(own())
    own_or_say()
    os.execvp(sys.argv[1], sys.argv[1:])
