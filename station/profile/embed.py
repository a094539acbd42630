#!/usr/bin/python3
"""Writes a C file with the shipped profiles.

usage: embed.py OUTPUT PROFILE.yaml...
"""
import pathlib
import sys


def literal(text):
    lines = [line.replace("\\", "\\\\").replace('"', '\\"') for line in text.splitlines()]
    return "\n".join(f'        "{line}\\n"' for line in lines)


def main():
    rows = [f'    {{"{path.stem}",\n{literal(path.read_text())}}},'
            for path in map(pathlib.Path, sys.argv[2:])]
    pathlib.Path(sys.argv[1]).write_text(
        '#include "station/profile/profile.h"\n\n'
        "const struct shipped_profile shipped_profiles[] = {\n" + "\n".join(rows) +
        "\n    {NULL, NULL}};\n")


if __name__ == "__main__":
    main()
