#!/usr/bin/python3
"""docs/device-link.md says the numbers, labels and sizes of lib/agent/ids.h.

usage: link_document.py SOURCE_DIR
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
IDS = (ROOT / "lib/agent/ids.h").read_text()
TEXT = (ROOT / "docs/device-link.md").read_text()


def numbers_of(prefix):
    """{name: number} of the enumerators with this prefix."""
    return {name: int(number, 0) for name, number in
            re.findall(rf"\b{prefix}(\w+) = (0x[0-9a-f]+|\d+)\b", IDS)}


def table_of(heading):
    """{name: number} of the rows of the table whose header is this one."""
    match = re.search(rf"(?m)^\| {heading} \| number \|.*\n\|[-|]*\n((?:\|.*\n)*)", TEXT)
    return {name: int(number, 0) for name, number in
            re.findall(r"(?m)^\| (\w+) \| (\w+) \|", match.group(1))} if match else {}


def main():
    statuses = numbers_of("IMPRINT_ERR_")
    statuses["OK"] = 0
    messages = numbers_of("IMPRINT_MSG_")
    messages.pop("REPLY")
    objects = numbers_of("IMPRINT_OBJ_")
    problems = [f"{what}: the page has {said}, ids.h {real}" for what, said, real in
                (("status", table_of("status"), statuses), ("message", table_of("message"), messages),
                 ("type", table_of("type"), objects)) if said != real or len(real) < 3]
    for name, label, reserved in re.findall(r'#define (IMPRINT_LABEL_\w+)\s+"([^"]+)"(.*)', IDS):
        if (f'"{label}\\0"' in TEXT) == ("RESERVED" in reserved):
            problems.append(f"{name}: the page and ids.h disagree on whether it is in use")
    sizes = dict(re.findall(r"#define (IMPRINT_\w+)\s+(\d+)", IDS))
    for name, pattern in (("FRAME_MIN", r"at least ([\d,]+) bytes and says"),
                          ("FRAME_MAX", r"\(at most ([\d,]+)\)"), ("TX_SIZE", r"bytes16 = bytes .size (\d+)"),
                          ("CHIP_ID_MAX", r"\.\.(\d+)\), +; chip id"),
                          ("FIRMWARE_MAX", r"\.\.(\d+)\), +; firmware version"),
                          ("ENVIRONMENT_MAX", r"\.\.(\d+)\), +; environment"),
                          ("SERIAL_MAX", r"\.\.(\d+)\), +; serial\n"),
                          ("STATION_CERT_MAX", r"\.\.(\d+)\) +; compact station certificate"),
                          ("WRAPPED_KEY_MAX", r"wrapped \(section 6\); at most (\d+) bytes"),
                          ("OBJECTS_MAX", r"\[1\*(\d) \[u16"), ("SUITES_MAX", r"\[1\*(\d) u16\]"),
                          ("PUT_ALIGN", r"length are multiples of (\d+)")):
        said = re.search(pattern, TEXT)
        if not said or said.group(1).replace(",", "") != sizes[f"IMPRINT_{name}"]:
            problems.append(f"IMPRINT_{name}: the page says "
                            f"{said.group(1) if said else 'nothing'}, ids.h {sizes[f'IMPRINT_{name}']}")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
