#!/usr/bin/python3
"""The rooms of the house: who may include whom, and which library is used where.

usage: dependencies.py SOURCE_DIR [BUILD_DIR]

With BUILD_DIR it also looks at what the finished programs link with: the line process and the
manifest program must not reach an HSM or a database, the checker nothing but libcrypto.
"""
import pathlib
import re
import subprocess
import sys

# room -> what its files may include (prefixes of the quoted path). A longer room name wins.
ROOMS = {
    "lib/base": ["base/", "message_table.h"],
    "lib/pki": ["base/", "pki/"],
    "lib/gs1": ["base/", "pki/serial_name.h", "gs1/"],
    "lib/sql": ["base/", "sql/"],
    "lib/agent": ["agent/"],
    "lib/link": ["base/", "pki/", "link/", "agent/ids.h"],
    "hsm": ["base/", "pki/", "hsm/", "agent/ids.h"],
    "manifests": ["base/", "pki/", "manifests/", "agent/ids.h"],
    "manifests/trust": ["base/", "pki/", "sql/", "manifests/"],
    "station": ["base/", "pki/", "gs1/gs1.h", "agent/ids.h", "link/transcript.h", "station/schema/",
                "station/config.h",
                "station/connector/address.h", "station/job", "station/order", "station/serial_list.h",
                "station/profile/profile.h", "station/profile/sample.h", "manifests/platforms/",
                "manifests/record.h"],
    "station/checker": ["base/", "pki/ec.h", "station/confine/", "station/wire/",
                        "station/checker/"],
    "station/connector": ["base/", "station/confine/", "station/wire/", "station/connector/"],
    "station/hook": ["base/", "station/confine/", "station/wire/", "station/hook/"],
    "station/opener": ["base/", "station/confine/", "station/wire/", "station/line/ports.h",
                       "station/line/serial.h", "station/line/usb.h", "station/line/input.h",
                       "station/opener/"],
    "station/schema": ["base/", "station/schema/"],
    "station/profile": ["base/", "pki/", "station/schema/", "station/profile/"],
    "station/store": ["base/", "pki/", "sql/", "agent/ids.h", "station/store/"],
    "station/confine": ["base/", "station/confine/"],
    "station/counter": ["base/", "station/counter/"],
    "station/wire": ["base/", "agent/ids.h", "station/wire/"],
    "station/board": ["base/", "station/confine/", "station/board/"],
    "station/line": ["base/", "pki/digest.h", "link/", "agent/ids.h", "station/confine/",
                     "station/wire/", "station/fixture/", "station/connector/address.h",
                     "station/line/"],
    "station/fixture": ["base/", "station/fixture/"],
    "station/gpio": ["base/", "station/fixture/", "station/gpio/"],
    "station/conform": ["base/", "pki/digest.h", "pki/ec.h", "link/", "agent/ids.h",
                        "station/confine/", "station/wire/", "station/line/stream.h",
                        "station/conform/"],
    "station/report": ["base/", "pki/", "agent/ids.h", "manifests/cert.h", "station/store/",
                       "station/report/"],
    "station/verify": ["base/", "pki/", "gs1/gs1.h", "link/", "agent/ids.h", "manifests/",
                       "station/confine/", "station/wire/", "station/line/stream.h",
                       "station/verify/"],
    "station/vault": ["base/", "pki/", "gs1/gs1.h", "hsm/", "manifests/", "link/transcript.h", "agent/ids.h",
                      "station/counter/counter.h", "station/store/", "station/wire/",
                      "station/vault/", "station/config.h", "station/connector/address.h",
                      "station/job.h", "station/order.h"],
    "station/cli": ["base/", "pki/", "hsm/", "station/"],
}

# system header -> the only rooms that may include it
ONLY = {
    "p11-kit/pkcs11.h": ["hsm"],
    "p11-kit/uri.h": ["hsm"],
    "sqlite3.h": ["lib/sql"],
    "cbor.h": ["lib/link"],
    "ncurses.h": ["station/board"],
    "term.h": ["station/board"],
    "libserialport.h": ["station/line"],
    "libusb.h": ["station/line"],
    "libfyaml.h": ["station/schema"],
    "seccomp.h": ["station/confine"],
    "gpiod.h": ["station/gpio"],
    "argon2.h": ["station/vault"],
    "tss2/tss2_esys.h": ["station/counter"],
    "tss2/tss2_rc.h": ["station/counter"],
    "tss2/tss2_tctildr.h": ["station/counter"],
    "linux/landlock.h": ["station/confine"],
}

# program -> libraries that it must not be linked with, directly or through another
FORBIDDEN = {
    "station/imprint-line": ["p11", "sqlite", "softhsm", "fyaml", "serialport", "usb", "tss2"],
    "station/imprint-opener": ["p11", "sqlite", "softhsm", "fyaml", "cbor", "jansson", "crypto",
                               "tss2"],
    "station/imprint-board": ["p11", "sqlite", "softhsm", "fyaml", "cbor", "serialport", "usb",
                              "crypto", "tss2"],
    "station/imprint-checker": ["p11", "sqlite", "softhsm", "fyaml", "cbor", "serialport", "usb",
                                "jansson", "tss2"],
    "station/imprint-connector": ["p11", "sqlite", "softhsm", "fyaml", "cbor", "serialport",
                                  "usb", "jansson", "crypto", "tss2"],
    "station/imprint-hook": ["p11", "sqlite", "softhsm", "fyaml", "cbor", "serialport", "usb",
                             "crypto", "tss2"],
    "station/imprint-conform": ["p11", "sqlite", "softhsm", "fyaml", "serialport", "usb", "tss2"],
    "station/imprint-verify": ["p11", "sqlite", "softhsm", "fyaml", "serialport", "usb", "tss2",
                               "jansson"],
    # The vault parses no CBOR.
    "station/imprint": ["cbor"],
    "manifests/imprint-manifest": ["p11", "softhsm", "serialport", "usb", "cbor", "fyaml",
                                   "tss2"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^">]+)[">]', re.M)


def room_of(path):
    parts = path.parts
    for n in range(len(parts), 0, -1):
        if "/".join(parts[:n]) in ROOMS:
            return "/".join(parts[:n])
    return None


def check_file(root, path, problems):
    relative = path.relative_to(root)
    room = room_of(relative.parent)
    for kind, name in INCLUDE.findall(path.read_text()):
        if kind == "<":
            allowed = ONLY.get(name)
            if allowed and not any(str(relative).startswith(a + "/") for a in allowed):
                problems.append(f"{relative}: <{name}> belongs to {' and '.join(allowed)}")
        elif path.name.startswith("port_"):
            continue  # the agent's ports stand on a platform's own libraries
        elif room and not any(name.startswith(prefix) for prefix in ROOMS[room]):
            problems.append(f"{relative}: room {room} may not include \"{name}\"")


def check_header_alone(root, header, problems):
    command = ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Werror", "-x", "c",
               f"-I{root}", f"-I{root}/lib", str(header)]
    flags = subprocess.run(["pkg-config", "--cflags", "p11-kit-1"], capture_output=True, text=True)
    result = subprocess.run(command + flags.stdout.split(), capture_output=True, text=True)
    if result.returncode:
        problems.append(f"{header.relative_to(root)} does not compile alone:\n{result.stderr}")


def check_program(build, program, forbidden, problems):
    result = subprocess.run(["ldd", str(build / program)], capture_output=True, text=True)
    if result.returncode:
        problems.append(f"{program}: not built")
    for library in forbidden:
        if f"lib{library}" in result.stdout:
            problems.append(f"{program} is linked with lib{library}")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    problems = []
    sources = [p for room in ("lib", "hsm", "manifests", "station")
               for p in sorted((root / room).rglob("*.[ch]"))]
    if len(sources) < 20:
        sys.exit("dependencies: found hardly any source: wrong folder?")
    for path in sources:
        check_file(root, path, problems)
        if path.suffix == ".h":
            check_header_alone(root, path, problems)
    if len(sys.argv) > 2:
        for program, forbidden in FORBIDDEN.items():
            check_program(pathlib.Path(sys.argv[2]), program, forbidden, problems)
    for problem in problems:
        print(problem)
    print(f"{len(sources)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
