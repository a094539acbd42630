#!/usr/bin/python3
"""The verifier of the specification's appendix and ours agree over every kind of damage.

Usage: second_verifier.py CORPUS_PROGRAM IMPRINT_MANIFEST VERIFIER
"""
import concurrent.futures
import os
import subprocess
import sys
import tempfile


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def judge(program, verifier, top):
    pins = [os.path.join(top, name) for name in ("manifest-root.pem", "device-root.pem", "log.vkey")]
    one, two = os.path.join(top, "1"), os.path.join(top, "2")
    ours = run(program, "verify", "--root", pins[0], "--device-root", pins[1], "--log-key", pins[2],
               "--after", one, two)
    theirs = run(sys.executable, verifier, *pins, two, one)
    if "Traceback" in theirs[1]:
        theirs = (None, theirs[1])
    return ours, theirs


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    corpus, program, verifier = map(os.path.abspath, sys.argv[1:])
    wrong, accepted = [], 0
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as top:
        subprocess.run([corpus, top], check=True)
        names = sorted(os.listdir(top))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = pool.map(lambda n: judge(program, verifier, os.path.join(top, n)), names)
        for name, (ours, theirs) in zip(names, results):
            good = name.split("-", 1)[1].startswith("good")
            accepted += ours[0] is True
            if not ours[0] == theirs[0] == good:
                wrong.append(f"{name}: ours {ours}, the other {theirs}")
    print("\n".join(wrong))
    if wrong or accepted != 2 or len(names) < 62:
        sys.exit(f"{len(wrong)} of {len(names)} differ")
    print(f"{len(names)} manifests: both accept {accepted} and refuse {len(names) - accepted}")


if __name__ == "__main__":
    main()
