"""`imprint report`: its figures are those of the events of the line, and its page is sound and holds no hostile text."""
import collections
import datetime
import hashlib
import html.parser
import json
import re
import shutil
import sqlite3
import subprocess
import unittest
import xml.etree.ElementTree

from rig import EXIT, Line, Rig, run

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "<script>alert(1)</script>&\"'</td>"


class Page(html.parser.HTMLParser):
    """A page read strictly: every element is closed in its order; what it shows and which tables it has."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.words, self.rows = [], collections.Counter(), [], []
        self.attributes = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> in {self.open}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        if "style" not in self.open:
            self.words.append(data)

    def pictures(self):
        """Every SVG, read as XML."""
        return [xml.etree.ElementTree.fromstring(text)
                for text in re.findall(r"(?s)<svg .*?</svg>", self.text)]


def of_class(picture, name):
    return [e for e in picture.iter() if e.get("class") == name]


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rig = Rig(credentials=8)
        cls.addClassCleanup(cls.rig.close)
        cls.events = []
        for _ in range(2):
            cls.rig.add_device()
        cls.rig.add_device("--fault=wrong-proof")
        cls.rig.add_device("--fault=vanish-after")
        cls.run_line()
        for device in cls.rig.devices[2:]:  # S3 and S4 become honest
            device.stop()
            device.options = [o for o in device.options if not o.startswith("--fault")]
            device.start()
        cls.run_line()
        cls.rig.seal()
        cls.rig.imprint("void", cls.serial(0), "--by", "Ada", "--reason", f"scratched {HOSTILE}")

    @classmethod
    def run_line(cls):
        """One pass; its events, in their order."""
        result = cls.rig.imprint("run", cls.rig.job, "--json", "--by", "Grace", check=False)
        cls.events += [json.loads(line) for line in result.stdout.splitlines()]

    @classmethod
    def serial(cls, index):
        return (cls.rig.devices[index].export() / "serial").read_text().strip()

    def report(self, *arguments, check=True):
        result = self.rig.imprint("report", *arguments, "--json", check=check)
        return json.loads(result.stdout)

    def page(self, *arguments):
        path = self.rig.dir / "report.html"
        self.rig.imprint("report", *arguments, "--html", path)
        return Page(path)

    def expected(self):
        """Slot by slot, from the events alone: {slot: [passed, again, failed]}, and {error: count}."""
        slots, reasons = collections.defaultdict(lambda: [0, 0, 0]), collections.Counter()
        for e in self.events:
            if e["event"] == "pass":
                slots[e["slot"]][1 if e["again"] else 0] += 1
            if e["event"] in ("fail", "retry"):
                slots[e["slot"]][2] += 1
                reasons[e["error"]] += 1
        return dict(slots), reasons

    def test_figures_are_those_of_the_events(self):
        slots, reasons = self.expected()
        self.assertEqual({s: v[0] for s, v in slots.items()}, {"S1": 1, "S2": 1, "S3": 1, "S4": 1})
        for arguments in (("shift",), ("shift", "--last", "2h"), ("lot", "E2E-1")):
            said = self.report(*arguments)
            self.assertEqual({s["slot"]: [s["passed"], s["again"], s["failed"]] for s in said["slots"]},
                             slots, arguments)
            self.assertEqual({r["error"]: r["count"] for r in said["reasons"]}, reasons, arguments)
            total = [sum(v[i] for v in slots.values()) for i in range(3)]
            self.assertEqual([said["attempted"][n] for n in ("passed", "again", "failed")], total)
            bins = said["pace"]["bins"]
            self.assertEqual([sum(b[n] for b in bins) for n in ("passed", "again", "failed")], total)
            self.assertEqual(len(said["attempts"]), sum(total))
            self.assertEqual((said["proven"], len(said["units"])), (3, 4))
            self.assertEqual(said["first_try"], 2)
            self.assertFalse(said["verified"]["macs"])

    def test_units_are_what_manifest_and_ledger_say(self):
        said = self.report("lot", "E2E-1")
        records = {r["tx"]: (i, r) for i, r in enumerate(self.rig.records())}
        ledger = [json.loads(line) for line in self.rig.imprint("ledger", "show").stdout.splitlines()]
        entries = {(e["event"], e["data"].get("tx")): e for e in ledger}
        program = self.rig.imprint("--version").stdout.split()[1]
        for unit in said["units"]:
            index, record = records[unit["tx"]]
            proven = entries["proven", unit["tx"]]
            der = __import__("base64").b64decode(record["cert"])
            self.assertEqual((unit["serial"], unit["chip"], unit["firmware"], unit["leaf"]),
                             (record["sn"], record["chip"], record["fw"]["version"], index))
            self.assertEqual(unit["certificate"], hashlib.sha256(der).hexdigest())
            self.assertIn(bytes.fromhex(unit["number"]), der)
            self.assertEqual((unit["proven"], unit["by"], unit["slot"]),
                             (proven["at"], "Grace", proven["data"]["slot"]))
            self.assertEqual(unit["build"], proven["data"]["build"])
            self.assertTrue(unit["build"].startswith(program))
            self.assertEqual(unit["manifest"], 1)
        self.assertEqual([u["state"] for u in said["units"]].count("revoked"), 1)

    def test_one_unit(self):
        serial = self.serial(3)
        said = self.report("unit", serial)
        mine = [e for e in self.events if e.get("slot") == "S4"]
        self.assertEqual(len(said["units"]), 1)
        self.assertEqual(said["units"][0]["serial"], serial)
        self.assertEqual(said["units"][0]["failed"],
                         sum(e["event"] in ("fail", "retry") for e in mine))
        self.assertTrue(said["attempts"][-1]["passed"])
        page = self.page("unit", self.serial(0))
        entries = [row for row in page.rows if row and row[0].isdigit()]
        self.assertEqual([row[2] for row in entries if row[2] not in ("generate",)],
                         ["claim", "proven", "revoked"])
        self.assertEqual(entries[-1][3:], ["Ada", f"scratched {HOSTILE}"])

    def test_pages_are_sound_and_need_nothing_else(self):
        for arguments in (("shift",), ("lot", "E2E-1"), ("unit", self.serial(1))):
            with self.subTest(arguments):
                page = self.page(*arguments)
                self.assertNotIn("script", page.elements)
                self.assertFalse({"link", "img", "iframe", "object"} & set(page.elements))
                self.assertFalse([a for a in page.attributes if a[1] in ("src", "href") or
                                  a[1].startswith("on")])
                self.assertNotIn("http", re.sub(r'xmlns="http://www.w3.org/2000/svg"', "", page.text)
                                 .replace("http-equiv", ""))
                self.assertIn("default-src 'none'", page.text)
                self.assertIn("NOT verified", "".join(page.words))
                for picture in page.pictures():
                    self.assertTrue(picture.get("aria-label"))
                    run("xmllint", "--noout", "-", input=xml.etree.ElementTree.tostring(
                        picture, encoding="unicode")) if shutil.which("xmllint") else None

    def test_plots_show_the_figures(self):
        slots, reasons = self.expected()
        page = self.page("shift")
        pace, by_slot, by_reason = page.pictures()
        tips = [e[0].text for e in of_class(pace, "pass")]
        self.assertEqual(sum(int(re.search(r"(\d+) passed", t).group(1)) for t in tips),
                         sum(v[0] for v in slots.values()))
        names = [e.text for e in of_class(by_slot, "name")]
        self.assertEqual(names, sorted(slots))
        full = {}
        for kind in ("pass", "fail"):
            for e in of_class(by_slot, kind):
                full.setdefault(e.get("y"), {})[kind] = float(e.get("width"))
        for (y, widths), name in zip(full.items(), names):
            passed, _, failed = slots[name]
            share = widths.get("pass", 0) / (widths.get("pass", 0) + widths.get("fail", 0))
            self.assertAlmostEqual(share, passed / (passed + failed), places=2)
        self.assertEqual({e.text: int(n.text) for e, n in zip(of_class(by_reason, "name"),
                                                              of_class(by_reason, "note"))}, reasons)
        rows = {row[0]: row for row in page.rows if row and row[0] in slots and len(row) == 5}
        for name, (passed, again, failed) in slots.items():
            self.assertEqual(rows[name][1:3] + rows[name][4:], [str(passed), str(failed), str(again)])

    def test_hostile_text_stays_text(self):
        """Rows of attempts bear no MAC: whoever has the file can write markup there."""
        copy = self.rig.dir / "hostile"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.rig.station, copy)
        with sqlite3.connect(copy / "station.db") as db:
            db.execute("UPDATE attempts SET text = ?, slot = ? WHERE code <> 0",
                       (HOSTILE + "\x1b[2J\u202e", HOSTILE[:30]))
        db.close()
        path = self.rig.dir / "hostile.html"
        self.rig.imprint("report", "shift", "--dir", copy, "--html", path)
        page = Page(path)
        self.assertNotIn("script", page.elements)
        self.assertNotIn("\x1b", page.text)
        self.assertTrue(any(HOSTILE in cell for row in page.rows for cell in row))
        page.pictures()

    def test_verified_with_the_token_and_what_was_changed(self):
        said = self.report("lot", "E2E-1", "--verify")
        self.assertTrue(said["verified"]["macs"])
        entries = len(self.rig.imprint("ledger", "show").stdout.splitlines())
        self.assertEqual(said["verified"]["entries"], entries)
        for change, found in (("UPDATE claims SET slot = 'S9'", ("--verify",)),
                              ("UPDATE ledger SET body = replace(body, 'Grace', 'Mallory')", ())):
            copy = self.rig.dir / "changed"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self.rig.station, copy)
            with sqlite3.connect(copy / "station.db") as db:
                db.execute(change)
            db.close()
            result = self.rig.imprint("report", "lot", "E2E-1", "--dir", copy, *found, check=False)
            self.assertEqual(result.returncode, EXIT["INTEGRITY"], result)

    def test_the_lot_of_a_udi(self):
        """Here written into the rows afterwards, which the token tells."""
        copy = self.rig.dir / "lots"
        shutil.copytree(self.rig.station, copy)
        with sqlite3.connect(copy / "station.db") as db:
            for index in (1, 3):
                db.execute("UPDATE records SET line = CAST(json_set(CAST(line AS TEXT), '$.udi',"
                           " json('{\"lot\":\"LOT7\"}')) AS BLOB) WHERE idx = ?", (index,))
        db.close()
        said = self.report("lot", "LOT7", "--dir", copy)
        records = self.rig.records()
        self.assertEqual({u["serial"] for u in said["units"]}, {records[1]["sn"], records[3]["sn"]})
        self.assertEqual(said["attempted"]["passed"], 2)
        self.assertEqual(self.rig.imprint("report", "lot", "LOT7", "--dir", copy, "--verify",
                                          check=False).returncode, EXIT["INTEGRITY"])

    def test_nothing_is_changed_and_no_pin_is_read(self):
        def state():
            return {p: hashlib.sha256(p.read_bytes()).digest() for p in self.rig.station.rglob("*")
                    if p.is_file() and not p.name.endswith(("-shm", "-wal"))}
        before = state()
        pin = self.rig.dir / "pin"
        pin.rename(self.rig.dir / "away")
        try:
            self.report("shift")
            self.assertEqual(self.rig.imprint("report", "shift", "--verify", check=False).returncode,
                             EXIT["PIN"])
        finally:
            (self.rig.dir / "away").rename(pin)
        self.assertEqual(state(), before)

    def test_which_time(self):
        old = self.report("shift", "--from", "2020-01-01T06:00:00Z", "--to", "2020-01-01T14:00:00Z")
        self.assertEqual((old["units"], old["attempts"], old["proven"]), ([], [], 0))
        self.page("shift", "--from", "2020-01-01T06:00:00Z", "--to", "2020-01-01T14:00:00Z")
        today = datetime.datetime.now(datetime.timezone.utc)
        first = today - datetime.timedelta(days=400)
        said = self.report("shift", "--from", f"{first:%Y-%m-%dT%H:%M:%SZ}")
        self.assertEqual(said["proven"], 3)
        self.assertLessEqual(len(said["pace"]["bins"]), 48)
        for wrong in (("--last", "8"), ("--last", "0h"), ("--to", "2020-01-01T14:00:00Z"),
                      ("--from", "yesterday"), ("--last", "8h", "--from", "2020-01-01T06:00:00Z"),
                      ("--product", "x"),
                      ("--from", "2020-01-01T06:00:00Z", "--to", "2020-01-01T06:00:00Z")):
            self.assertEqual(self.rig.imprint("report", "shift", *wrong, check=False).returncode,
                             EXIT["USAGE"], wrong)
        for wrong in (("lot",), ("week",), ("shift", "E2E-1"), ("lot", "E2E-1", "--last", "8h")):
            self.assertEqual(self.rig.imprint("report", *wrong, check=False).returncode, EXIT["USAGE"])
        for missing in (("unit", "PUMP-999999"), ("lot", "E2E-2")):
            self.assertEqual(self.rig.imprint("report", *missing, check=False).returncode,
                             EXIT["MISSING"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
