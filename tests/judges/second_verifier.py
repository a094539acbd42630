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
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def judge(program, verifier, top, pair):
    pins = [os.path.join(top, name) for name in ("manifest-root.pem", "device-root.pem", "log.vkey")]
    before, folder = (os.path.join(top, n) if n else None for n in pair)
    after = ["--after", before] if before else []
    ours = run(program, "verify", "--root", pins[0], "--device-root", pins[1], "--log-key", pins[2],
               *after, folder)
    theirs = run(sys.executable, verifier, *pins, folder, *after[1:])
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
            tasks = [(n, pair) for n in names for pair in (("1", "2"), (None, "1"), ("2", "3"))
                     if pair == ("1", "2") or n == "000-good"]
            results = pool.map(lambda t: judge(program, verifier, os.path.join(top, t[0]), t[1]),
                               tasks)
        for (name, _), (ours, theirs) in zip(tasks, results):
            good = name.split("-", 1)[1].startswith("good")
            accepted += ours[0] is True
            if not ours[0] == theirs[0] == good:
                wrong.append(f"{name}: ours {ours}, the other {theirs}")
    print("\n".join(wrong))
    if wrong or accepted != 6 or len(names) < 80:
        sys.exit(f"{len(wrong)} of {len(tasks)} differ")
    print(f"{len(tasks)} manifests: both accept {accepted} and refuse {len(tasks) - accepted}")


if __name__ == "__main__":
    main()
