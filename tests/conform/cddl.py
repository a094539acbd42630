"""As much of CDDL (RFC 8610) as docs/device-link.md uses, to hold real messages against what it says.

    rules = cddl.rules_of(text of the page)
    cddl.check(rules, "begin-reply", value)   # says where it differs, None where it does not
"""
import re

TOKEN = re.compile(r"\.\.|\.size|\d+\*\d+|\d+|[a-z][a-z0-9-]*|[{}\[\](),:?/=]")


class Parser:
    def __init__(self, text):
        self.tokens = TOKEN.findall(re.sub(r";.*", "", text))

    def peek(self, ahead=0):
        return self.tokens[ahead] if ahead < len(self.tokens) else ""

    def take(self, *expected):
        token = self.tokens.pop(0)
        if expected and token not in expected:
            raise ValueError(f"'{token}' where {expected} was expected")
        return token

    def rules(self):
        found = {}
        while self.tokens:
            name = self.take()
            self.take("=")
            found[name] = self.choice()
        return found

    def choice(self):
        options = [self.primary()]
        while self.peek() == "/":
            self.take()
            options.append(self.primary())
        return ("choice", options)

    def range(self):
        low = high = int(self.take())
        if self.peek() == "..":
            self.take()
            high = int(self.take())
        return low, high

    def primary(self):
        if self.peek() == "{":
            return self.map()
        if self.peek() == "[":
            return self.array()
        if self.peek().isdigit():
            return ("number", *self.range())
        name = self.take()
        if self.peek() != ".size":
            return ("name", name)
        self.take()
        if self.peek().isdigit():
            return ("sized", name, *self.range())
        self.take("(")
        sizes = self.range()
        self.take(")")
        return ("sized", name, *sizes)

    def map(self):
        members = {}
        self.take("{")
        while self.peek() != "}":
            optional = self.peek() == "?" and bool(self.take())
            key = int(self.take())
            self.take(":")
            members[key] = (optional, self.choice())
            if self.peek() == ",":
                self.take()
        self.take("}")
        return ("map", members)

    def array(self):
        self.take("[")
        if "*" in self.peek():
            low, high = map(int, self.take().split("*"))
            node = ("many", low, high, self.choice())
        else:
            items = [self.choice()]
            while self.peek() == ",":
                self.take()
                items.append(self.choice())
            node = ("row", items)
        self.take("]")
        return node


PRELUDE = {"bytes": bytes, "tstr": str, "bool": bool}


def check(rules, what, value):
    """What of a value is not as the rule of this name, or as this node, says; None where all is."""
    kind, *rest = ("name", what) if isinstance(what, str) else what
    return CHECKS[kind](rules, value, *rest)


def check_name(rules, value, name):
    if name not in PRELUDE:
        return check(rules, rules[name], value)
    return None if type(value) is PRELUDE[name] else f"{value!r} is not {name}"


def check_choice(rules, value, options):
    problems = [check(rules, option, value) for option in options]
    return None if None in problems else problems[0]


def check_number(_, value, low, high):
    return None if type(value) is int and low <= value <= high else f"{value!r} is not in {low}..{high}"


def check_sized(rules, value, name, low, high):
    problem = check_name(rules, value, name)
    if problem is None and not low <= len(value) <= high:
        problem = f"{len(value)} bytes, not {low}..{high}"
    return problem


def check_map(rules, value, members):
    if not isinstance(value, dict):
        return f"{value!r} is not a map"
    for key in value:
        if key not in members:
            return f"there is no member {key}"
    for key, (optional, node) in members.items():
        if key not in value:
            if not optional:
                return f"member {key} is missing"
            continue
        problem = check(rules, node, value[key])
        if problem:
            return f"member {key}: {problem}"
    return None


def check_many(rules, value, low, high, node):
    if not isinstance(value, list) or not low <= len(value) <= high:
        return f"{value!r} is not an array of {low} to {high}"
    return next((p for p in (check(rules, node, item) for item in value) if p), None)


def check_row(rules, value, items):
    if not isinstance(value, list) or len(value) != len(items):
        return f"{value!r} is not an array of {len(items)}"
    return next((p for p in (check(rules, n, v) for n, v in zip(items, value)) if p), None)


CHECKS = {"name": check_name, "choice": check_choice, "number": check_number, "sized": check_sized,
          "map": check_map, "many": check_many, "row": check_row}


def rules_of(page):
    """The rules of the page's one block of CDDL."""
    return Parser(re.search(r"(?s)In CDDL .*?```\n(.*?)```", page).group(1)).rules()
