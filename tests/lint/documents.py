#!/usr/bin/python3
"""What documents say is what programs do.

usage: documents.py SOURCE_DIR BUILD_DIR

Manual pages are clean, and name the commands, options, exit statuses and fields that the programs
have, no more and no less; tables of docs/ name what the sources define; links lead somewhere; no
file names a developer's machine; C files are formatted.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1]).resolve()
BUILD = pathlib.Path(sys.argv[2]).resolve()
MAN = ROOT / "docs/man"


def output(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)


def tracked():
    """The project's files: what git knows, or, in a copy without git, what is no build folder."""
    listed = output("git", "-C", ROOT, "ls-files", "-z")
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]
    return [p for p in sorted(ROOT.rglob("*")) if p.is_file()
            and not re.match(r"build|demo|\.git$", p.relative_to(ROOT).parts[0])]


def differences(what, said, real):
    """Problems when two collections are not the same."""
    said, real = set(said), set(real)
    return ([f"{what}: not documented: {', '.join(sorted(map(str, real - said)))}"]
            if real - said else []) + \
           ([f"{what}: documented and not there: {', '.join(sorted(map(str, said - real)))}"]
            if said - real else [])


# ---- manual pages

def section(page, name):
    """The text of one section of a manual page."""
    found = re.search(rf'(?ms)^\.Sh {name}\n(.*?)(?=^\.Sh |\Z)', (MAN / page).read_text())
    return found.group(1) if found else ""


def check_pages():
    pages = sorted(MAN.glob("*.[1-9]"))
    result = output("mandoc", "-T", "lint", "-W", "warning", *pages)
    return result.stdout.splitlines() + ([] if pages else [f"no manual page in {MAN}"])


def page_options(text):
    """{option: has a value} of the .It Fl lines; short ones beside a long one do not count."""
    items = re.findall(r"(?m)^\.It Fl (?:\w , )?-([a-z-]+)( Ar .*)?$", text)
    return {(name, bool(value)) for name, value in items}


def page_commands(text):
    """{command: its options} of a list of .It Cm lines."""
    parts = re.split(r"(?m)^\.It Cm ([a-z-]+).*$", text)
    return {name: page_options(body) for name, body in zip(parts[1::2], parts[2::2])}


def help_options(text):
    """{option: has a value} of the lines '  --name VALUE  meaning'."""
    return {(name, bool(value)) for name, value in
            re.findall(r"(?m)^ +(?:-\w, )?--([a-z-]+)( [A-Z]+)? ", text)}


def compare_commands(page, said, real):
    problems = differences(f"{page}, commands", said, real)
    for name in sorted(set(said) & set(real)):
        problems += differences(f"{page}, options of '{name}'", said[name], real[name])
    return problems


def check_imprint_page():
    program = BUILD / "station/imprint"
    names = re.findall(r"(?m)^  ([a-z-]+) ", output(program, "help").stdout)
    helps = {name: help_options(output(program, "help", name).stdout) for name in names}
    if not names:
        return ["'imprint help' lists no command"]
    common = set.intersection(*helps.values())
    said = page_commands(section("imprint.1", "COMMANDS"))
    problems = compare_commands("imprint.1", said, {n: o - common for n, o in helps.items()})
    problems += differences("imprint.1, options of every command",
                            page_options(section("imprint.1", "OPTIONS")), common)
    return problems + long_help(program, [], *([n] for n in names))


def long_help(program, *commands):
    """Lines that a terminal of a hundred columns breaks."""
    return [f"'{program.name} help {' '.join(c)}': a line of {len(line)} columns: {line}"
            for c in commands for line in output(program, "help", *c).stdout.splitlines()
            if len(line) > 96]


def check_events_document():
    """Every event, member, state and command of a running line is in the document, and no other."""
    code = source("station/line/events.c")
    table = re.search(r"(?ms)^## Events\n(.*?)^### ", source("docs/events.md")).group(1)
    names = re.findall(r"(?m)^static const char \*const (kind|line)_names\[\] = \{([^}]*)\}", code)
    real = [name for _, listed in names for name in re.findall(r'"(\w+)"', listed)]
    said = re.findall(r"(?m)^\| `(\w+)` \|", table)
    problems = differences("docs/events.md, events", said, real + ["warning"])
    by_class = re.search(r"(?s)events_action\(const struct error \*why\)\n\{(.*?)\n\}", code).group(1)
    by_reason = re.search(r"(?s)actions\[NEXT_COUNT\] = \{(.*?)\};", code).group(1)
    actions = set(re.findall(r'return "(\w+)"', by_class)) | set(re.findall(r'"(\w+)"', by_reason))
    text = source("docs/events.md")
    reasons = re.search(r"(?s)### Reasons\n(.*?)\n## ", text).group(1)
    problems += differences("docs/events.md, actions", re.findall(r"(?m)^\| `(\w+)` \|", reasons), actions)
    shown = re.findall(r'\{"(\w+)",\s*N_\("([^"]{10})[^"]*"\),\s*N_\("([^"]+)"\)\}', source("station/board/words.c"))
    problems += differences("station/board/words.c, actions", {action for action, _, _ in shown}, actions)
    guide = source("docs/operators.md")
    problems += [f"docs/operators.md: no row for '{brief}', '{begin}...'" for _, begin, brief in shown
                 if not re.search(rf"(?m)^\| `{brief}` \| `{begin}", guide)]
    commands = re.search(r"names\[\] = \{([^}]*)\}", source("station/line/command.c")).group(1)
    problems += differences("docs/events.md, commands",
                            re.findall(r"(?m)^\| `(\w+)` \| (?:`slot`)? ?\|", text.split("## Commands")[1]),
                            re.findall(r'"(\w+)"', commands))
    members = set(re.findall(r'json_object_set_new\(o, "(\w+)"', code)) | \
        set(re.findall(r'"(\w+)",\s*(?:\(?(?:int|json_int_t)\)|1,|once|counts->|reason)', code))
    return problems + [f"docs/events.md: the member '{m}' is not there" for m in sorted(members)
                       if f"`{m}`" not in text]


def check_manifest_page():
    program = BUILD / "manifests/imprint-manifest"
    table = json.loads(output(program, "help", "--json").stdout)
    text = (MAN / "imprint-manifest.1").read_text()
    said = {name: {option for option, _ in options} for name, options in page_commands(text).items()}
    real = {c["name"]: {o["name"] for o in c["options"]} - {"json"} for c in table["commands"]}
    return compare_commands("imprint-manifest.1", said, real) + \
        long_help(program, [], *([name] for name in real))


def check_usage_page(page, *command):
    """For programs whose usage text names every option."""
    if not (MAN / page).exists():
        return [f"there is no manual page {page}"]
    result = output(*command)
    real = re.findall(r"--([a-z-]+)", result.stdout + result.stderr)
    said = re.findall(r"Fl -([a-z-]+)", (MAN / page).read_text())
    return differences(f"{page}, options", set(said) - {"help"}, set(real) - {"help"})


# ---- exit statuses

def error_list():
    """[(number, name, meaning)] of base/error.h."""
    return re.findall(r'X\((ERR_\w+), (\d+), "([^"]+)"\)', source("lib/base/error.h"))


def check_exit_statuses():
    real = {(status, name): meaning for name, status, meaning in error_list()}
    items = re.findall(r"(?m)^\.It (\d+) Pq (ERR_\w+)\n(.*)$", section("imprint.1", "EXIT STATUS"))
    problems = differences("imprint.1, exit statuses", {i[:2] for i in items}, real)
    for number, name, text in items:
        meaning = real.get((number, name), text)
        if text.rstrip(".").lower() != meaning.lower():
            problems.append(f"imprint.1, exit status {number}: '{text}' is not '{meaning}'")
    used = re.findall(r"(?m)^\.It (\d+) Pq (ERR_\w+)", (MAN / "imprint-manifest.1").read_text())
    return problems + [f"imprint-manifest.1: there is no exit status {number} {name}"
                       for number, name in used if (number, name) not in real]


# ---- fields of a job

KINDS = {"SCHEMA_TEXT": "text", "SCHEMA_BOOL": "true or false", "SCHEMA_TEXTS": "texts", "SCHEMA_INT": "number", "SCHEMA_MAP": "map", "SCHEMA_LIST": "list"}
NUMBERS = {"PATH_MAX - 1": "4095"}


def source(name):
    return (ROOT / name).read_text()


def number(text):
    """The value of a bound as the source writes it."""
    text = NUMBERS.get(text, re.sub(r"INT64_C\((\d+)\)", r"\1", text))
    if not text.isdigit():
        defined = re.search(rf"#define {text}\s+(\d+)",
                            source("station/job.h") + source("station/job.c") + source("lib/gs1/gs1.h") +
                            source("station/job_require.c") + source("lib/agent/ids.h"))
        text = defined.group(1) if defined else text
    return text


def job_tables():
    """{table: [(name, kind, required, range, sub-table)]} of station/job.c, job_serials.c and others."""
    tables = {}
    for name, body in re.findall(r"(?ms)^(?:static )?const struct schema_field (\w+)\[\] = \{(.*?)^    \{?"
                                 r"\{?\.name = NULL",
                                 source("station/job.c") + source("station/job_serials.c") +
                                 source("station/job_label.c") + source("station/job_require.c")):
        rows = [(m, k, r == "true", f"{number(a)} to {number(b)}", None) for m, k, r, a, b in
                re.findall(r"FIELD\(\w+, (\w+), (\w+), (\w+),\s*([^,]+),\s*([^,]+),", body)]
        for row in re.findall(r"(?s)\{\.name = \"(.*?)\}", body):
            value = dict(re.findall(r"\.(\w+) = ([^,\n]+)", row))
            bounds = f"{number(value['min'])} to {number(value['max'])}" if "min" in value else ""
            rows.append((row.split('"')[0], value["type"], value.get("required") == "true", bounds,
                         value.get("fields")))
        tables[name] = rows
    return tables


def job_defaults():
    text = source("station/job.c")
    found = dict(re.findall(r"\.(\w+) = (\d+)", re.search(r"job->link =\s[^;]*;", text).group()))
    found["baud"] = re.search(r"ports\[i\]\.baud = (\d+)", text).group(1)
    return found


def walk_fields(tables, defaults, table, prefix=""):
    for name, kind, required, bounds, fields in tables[table]:
        ending = "required" if required else \
            f"default {defaults[name]}" if name in defaults else "optional"
        yield prefix + name, ", ".join(filter(None, [f"{KINDS[kind]}", bounds, ending]))
        if fields:
            yield from walk_fields(tables, defaults, fields, f"{prefix}{name}.")


def page_fields(text):
    path = []
    for line in text.splitlines():
        if line.startswith(".Bl"):
            path.append("")
        elif line.startswith(".El"):
            path.pop()
        elif line.startswith(".It Va "):
            name, said = re.match(r"\.It Va (\w+) Pq (.*)", line).groups()
            path[-1] = name
            yield ".".join(path), said


def profile_tables():
    """{table: [(name, kind, required, range, sub-table)]} of station/profile/profile.c."""
    limits = dict(re.findall(r"#define (PROFILE_\w+) +(\d+)", source("lib/pki/cert_profile.h")))
    tables = {}
    for name, body in re.findall(r"(?ms)^static const struct schema_field (\w+)\[\] = \{(.*?)"
                                 r"\{\.name = NULL", source("station/profile/profile.c")):
        tables[name] = []
        for row in re.split(r"\{FIELD\(", body)[1:]:
            yaml, kind, needed, least, most = re.match(
                r'\w+, \w+, "(\w+)",\s*(\w+),\s*(\w+),\s*([^,]+),\s*([^,]+),', row).groups()
            bounds = f"{least} to {limits.get(most, most)}" if most != "0" else ""
            fields = re.search(r"\.fields =\s*(\w+)", row)
            tables[name].append((yaml, kind, needed == "true", bounds,
                                 fields.group(1) if fields else None))
    return tables


def check_profile_document():
    real = dict(walk_fields(profile_tables(), {}, "profile_fields"))
    text = source("docs/profiles.md")
    said = dict(re.findall(r"(?m)^\| `([\w.]+)` \| ([^|]+?) \|", text))
    values = dict(re.findall(r'X\(VALUE_\w+, "(\w+)", (FROM_\w+)', source("lib/pki/pattern.h")))
    if len(real) < 35 or len(values) < 8:
        return ["station/profile/profile.c: hardly any field was found"]
    problems = differences("docs/profiles.md, fields", said, real)
    problems += differences("docs/profiles.md, values",
                            re.findall(r"(?m)^\| `\{(\w+)\}` \|", text), values)
    problems += differences("docs/profiles.md, profiles",
                            re.findall(r"\]\(profiles/([\w-]+)\.md\)", text),
                            [p.stem for p in (ROOT / "docs/profiles").glob("*.md")])
    shipped = {json.loads(line)["sha256"] for line in output(
        BUILD / "station/imprint", "profile", "list", "--json").stdout.splitlines()}
    problems += [f"docs/{page}: no shipped profile has the hash {said}"
                 for page in ("order.md", "engineers.md", "security-teams.md")
                 for said in re.findall(r'"idevid",\s*"sha256": "(\w+)"', source(f"docs/{page}"))
                 if said not in shipped]
    return problems + [f"docs/profiles.md, {name}: '{said[name]}' is not '{real[name]}'"
                       for name in sorted(set(said) & set(real)) if said[name] != real[name]]


def check_job_page():
    real = dict(walk_fields(job_tables(), job_defaults(), "job_fields"))
    said = dict(page_fields(section("imprint-job.5", "FIELDS")))
    if len(real) < 15:
        return ["station/job.c: hardly any field was found: has the table another form?"]
    problems = differences("imprint-job.5, fields", said, real)
    return problems + [f"imprint-job.5, {name}: '{said[name]}' is not '{real[name]}'"
                       for name in sorted(set(said) & set(real)) if said[name] != real[name]]


# ---- the ceremony and the policy of keys

def check_ceremony_page():
    real = {}
    for name, kind, needed, most in re.findall(
            r"(?m)^    QUESTION\((\w+), (\w+), (\w+), ([^,]+),", source("station/cli/answers.c")):
        bounds = "file" if kind in ("PLACE", "LIBRARY") else f"text, 1 to {most}"
        real[name] = f"{bounds}, {'needed' if needed == 'true' else 'optional'}"
    if len(real) < 10:
        return ["station/cli/answers.c: hardly any question was found"]
    said = dict(page_fields(section("imprint-ceremony.5", "FIELDS")))
    options = re.search(r"init_options\[\] = \{(.*?)NULL, NULL, NULL", source("station/cli/commands.c"),
                        re.S).group(1)
    problems = differences("imprint-ceremony.5, fields", said, real)
    problems += differences("imprint init, options for the fields of a ceremony file",
                            set(re.findall(r'\{"([a-z-]+)"', options)) - {"file"},
                            {name.replace("_", "-") for name in real})
    return problems + [f"imprint-ceremony.5, {name}: '{said[name]}' is not '{real[name]}'"
                       for name in sorted(set(said) & set(real)) if said[name] != real[name]]


def check_policy_tables():
    """check_policy compares each table with docs/hsm.md; here: that it knows them all."""
    policy = source("hsm/policy.c")
    tables = re.findall(r"(?m)^const struct policy_row (policy_\w+)\[\] = \{", policy)
    compared = re.search(r"(?s)\} tables\[\] = \{(.*?)\n\};", source("tests/unit/check_policy.c")).group(1)
    documented = re.findall(r"(?m)^### .*\n\n\| attribute \| value \|", source("docs/hsm.md"))
    read_back = set(re.findall(r"(?:YES|NO|IS|NEST|FILLED|OF_KIND|ONLY_RSA)\((CKA_\w+)", policy))
    explained = re.findall(r'\{(CKA_\w+), "', source("hsm/audit.c"))
    problems = differences("tests/unit/check_policy.c, policy tables",
                           re.findall(r"policy_\w+", compared), tables)
    if len(documented) != len(tables) or len(tables) < 10:
        problems.append(f"docs/hsm.md: {len(documented)} tables for the {len(tables)} of the policy")
    return problems + differences("hsm/audit.c, meanings of attributes", explained, read_back)


# ---- other documents against the sources

def check_order_document():
    def members(file, function):
        found = re.search(rf"int {function}\(.*?names\[\] = \{{(.*?)NULL", source(file), re.S)
        return set(re.findall(r'"(\w+)"', found.group(1)))

    order = members("station/order.c", "order_members")
    share = members("station/order_stations.c", "station_members")
    tables = re.findall(r"(?ms)^\| member[^|]*\|.*?(?=^\n|\Z)", source("docs/order.md"))
    rows = [re.findall(r"`(\w+)`", " ".join(re.findall(r"(?m)^\| (`[^|]*)\|", t))) for t in tables]
    pages = [re.findall(r"(?m)^\.It Va (\w+)", section("imprint-order.5", name))
             for name in ("MEMBERS", "STATIONS")]
    if len(tables) != 2:
        return ["docs/order.md: a table of members is missing"]
    return differences("docs/order.md, members", rows[0], order) + \
        differences("docs/order.md, members of a station", rows[1], share) + \
        differences("imprint-order.5, members", pages[0], order) + \
        differences("imprint-order.5, members of a station", pages[1], share)


def check_station_document():
    text = source("docs/station.md")
    tables = re.findall(r"CREATE TABLE (\w+)", source("station/store/schema.c"))
    code = "".join(p.read_text() for p in sorted((ROOT / "station/vault").rglob("*.c")))
    events = set(re.findall(r'ledger_append(?:_alone)?\([^"]*"(\w+)"', code)) | \
        set(re.findall(r'event_put\(v, "(\w+)"', code)) | \
        set(re.findall(r'\[[A-Z]+\] = \{"(\w+)", CLAIM_', code)) | \
        set(re.findall(r'#define LEDGER_(?:RESTORED|ISSUE|KEYS|KEYS_DESTROYED|CSR_\w+|REWORK|PERSON_\w+|SLOT|PIN_TRIED|SIGNED_IN) +"(\w+)"',
                       source("station/store/ledger.h")))

    def first_column(title):
        part = re.search(rf"(?ms)^## {title}\n(.*?)(?=^## |\Z)", text)
        return re.findall(r"(?m)^\| `(\w+)`", part.group(1)) if part else []
    return differences("docs/station.md, tables", first_column("Database"), tables) + \
        differences("docs/station.md, ledger events", first_column("Ledger"), events)


def check_people_document():
    """Who signs for what, in the page as in the program."""
    code, text = source("station/vault/signing.c"), source("docs/people.md")
    roles = {"SUPERVISOR": {"supervisor"}, "ENGINEER": {"engineer"},
             "EITHER": {"supervisor", "engineer"},
             "ANYBODY": {"supervisor", "engineer", "operator"}}
    real = {(command, action, role) for command, action, mask in
            re.findall(r'\[SIGNING_\w+\] = \{"([^"]+)", "(\w+)", (\w+),', code) for role in roles[mask]}
    part = re.search(r"(?ms)^## Who signs for what\n(.*?)^## ", text).group(1)
    columns = re.findall(r"\w+", part.split("\n|---")[0].split("begins with")[1])
    said = {(command, action, role) for command, action, *answers in
            re.findall(r"(?m)^\| `([^`]+)` \| `(\w+)` \| (\w+) \| (\w+) \| (\w+) \|$", part)
            for role, answer in zip(columns, answers) if answer == "yes"}
    return differences("docs/people.md, who signs", said, real) + \
        ([] if real else ["station/vault/signing.c: no rules were found"])


def check_conformance_document():
    """Every case of the judge is in the document, with its section and what it requires, in order."""
    listed = output(BUILD / "station/imprint", "conform", "--list", "--json").stdout.splitlines()
    real = [tuple(json.loads(line)[m] for m in ("case", "section", "requires")) for line in listed]
    part = source("docs/conformance.md").split("\n## Cases\n")[1]
    said = re.findall(r"(?m)^\| `([a-z0-9-]+)` \| (\d) \| (.*) \|$", part)
    problems = differences("docs/conformance.md, cases", said, real)
    if not problems and said != real:
        problems.append("docs/conformance.md: the cases are in another order")
    if len(set(case for case, _, _ in real)) != len(real) or len(real) < 100:
        problems.append("'imprint conform --list' names a case twice, or hardly any")
    headings = {h[0] for h in re.findall(r"(?m)^## (\d)\.", source("docs/device-link.md"))}
    return problems + [f"case {case}: device-link.md has no section {number}"
                       for case, number, _ in real if number not in headings]


def check_operator_sentences():
    """What the operator's page quotes is what programs print."""
    code = "".join(p.read_text() for room in ("lib", "hsm", "station")
                   for p in sorted((ROOT / room).rglob("*.c")))
    code = re.sub(r'"\s*\n\s*"', "", code)
    quoted = [part.strip() for row in re.findall(r"(?m)^\| (`.*?`) \|", source("docs/operators.md"))
              for sentence in re.findall(r"`(.*?)`", row) for part in sentence.split("...")]
    return [f"docs/operators.md: no program prints '{part}'" for part in quoted
            if part not in code] + ([] if len(quoted) > 15 else ["docs/operators.md: no table"])


def without_code(text):
    return re.sub(r"`[^`\n]*`", "", re.sub(r"(?ms)^ *(```|~~~).*?^ *\1", "", text))


def anchors(path):
    headings = re.findall(r"(?m)^#+ +(.*?)\s*#*$", re.sub(r"(?ms)^```.*?^```", "", path.read_text()))
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


def check_links(files):
    problems = []
    for path in (p for p in files if p.suffix == ".md"):
        text = without_code(path.read_text())
        targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?m)^\[[^]]+\]: (\S+)", text)
        for target in targets:
            name, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            to = (path.parent / name).resolve() if name else path
            if not to.exists():
                problems.append(f"{path.relative_to(ROOT)}: link to '{target}', which does not exist")
            elif anchor and to.suffix == ".md" and anchor not in anchors(to):
                problems.append(f"{path.relative_to(ROOT)}: no heading for '{target}'")
    return problems


def check_machine_paths(files):
    pattern = re.compile(rb"(?<![\w.~}-])/(?:work|root|home)/\w")
    return [f"{path.relative_to(ROOT)}:{number}: names a folder of somebody's machine"
            for path in files
            for number, line in enumerate(path.read_bytes().split(b"\n"), 1) if pattern.search(line)]


def check_format(files):
    result = output("clang-format", "--dry-run", "-Werror",
                    *[p.relative_to(ROOT) for p in files if p.suffix in (".c", ".h")],
                    cwd=ROOT)
    return [line for line in result.stderr.splitlines() if "error:" in line]


def main():
    files = tracked()
    problems = check_pages() + check_imprint_page() + check_events_document() + check_manifest_page() + \
        check_usage_page("imprint-authority.1", BUILD / "tools/authority/imprint-authority") + \
        check_exit_statuses() + check_ceremony_page() + check_policy_tables() + check_job_page() + check_profile_document() + \
        check_order_document() + \
        check_station_document() + check_people_document() + check_conformance_document() + check_operator_sentences() + check_links(files) + \
        check_machine_paths(files) + check_format(files)
    if (BUILD / "tools/device/imprint-device").exists():
        problems += check_usage_page("imprint-device.1", BUILD / "tools/device/imprint-device",
                                     "--help")
    for problem in problems:
        print(problem)
    print(f"{len(files)} files, {len(problems)} problems")
    return 1 if problems or len(files) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
