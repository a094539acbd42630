"""Makes the guest's first file system: programs at the paths where the host has them, with the libraries
that they need, and modules of the kernel in the order in which they load.
"""
import os
import pathlib
import re
import stat
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


def depends_of(module):
    """What the module itself says that it needs: names, '-' and '_' being the same."""
    for line in module.read_bytes().split(b"\0"):
        if line.startswith(b"depends="):
            return [n for n in line[8:].decode().split(",") if n]
    return []


def in_order(folder, wanted):
    """Modules with what they need before them, as (file, arguments)."""
    files = {f.stem.replace("-", "_"): f for f in folder.glob("*.ko")}
    done = {}

    def add(name, arguments=""):
        name = name.replace("-", "_")
        if name in files and name not in done:
            for other in depends_of(files[name]):
                add(other)
            done[name] = (files[name], arguments)

    for name, arguments in wanted:
        assert name in files, f"this kernel has no module {name}"
        add(name, arguments)
    return list(done.values())


def libraries(program):
    """The shared libraries of a program or library, its loader included."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return [pathlib.Path(p) for p in re.findall(r"(/\S+) \(0x", listed)]


class Archive:
    """A cpio archive of the kind that kernels unpack (newc)."""

    def __init__(self, path):
        self.out = open(path, "wb")
        self.names = set()

    def entry(self, name, mode, content=b"", device=(0, 0)):
        number = len(self.names) + 1
        self.names.add(name)
        name = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + name
        self.out.write(head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4))

    def add_folder(self, path):
        name = str(path).strip("/")
        if name not in ("", ".") and name not in self.names:
            self.add_folder(pathlib.Path(name).parent)
            self.entry(name, stat.S_IFDIR | 0o755)

    def add(self, source, path=None):
        """A file, with its libraries where it is a program, at its own path or another."""
        source = pathlib.Path(source)
        path = str(path or source).strip("/")
        if path in self.names:
            return
        self.add_folder(pathlib.Path(path).parent)
        content = source.read_bytes()
        self.entry(path, stat.S_IFREG | (0o755 if os.access(source, os.X_OK) else 0o644), content)
        if content[:4] == b"\x7fELF":
            for library in libraries(source):
                self.add(library)

    def write(self, path, text):
        self.add_folder(pathlib.Path(path).parent)
        self.entry(path.strip("/"), stat.S_IFREG | 0o644, text.encode())

    def close(self):
        self.entry("TRAILER!!!", 0)
        self.out.close()


def make(out, kernel, modules, programs, files):
    """Writes the archive: modules are (name, arguments), programs are paths, files are by their path."""
    archive = Archive(out)
    archive.add("/bin/busybox")
    archive.add(HERE / "init", "/init")
    archive.add_folder("dev")
    archive.entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.entry("dev/null", stat.S_IFCHR | 0o666, device=(1, 3))
    archive.write("/etc/passwd", "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
    archive.write("/etc/group", "root:x:0:\ndialout:x:20:nobody\nnogroup:x:65534:\n")
    order = in_order(kernel / "modules", modules)
    for file, _ in order:
        archive.add(file, f"/modules/{file.name}")
    archive.write("/modules/order", "".join(f"{f.stem} {a}\n" for f, a in order))
    for program in programs:
        archive.add(program)
    for path, source in files.items():
        archive.add(source, path)
    archive.close()
