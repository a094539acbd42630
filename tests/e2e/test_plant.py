"""The plant's own programs: asked before a claim, told of results, and an outbox for what they missed."""
import http.server
import json
import os
import pathlib
import re
import signal
import stat
import sys
import threading
import time
import unittest

from rig import EXIT, Line, Rig
from test_line import Fixture

# A program of the plant. What it does is in a file beside it, which a test may change at any time; what it
# was asked, and what it found around itself, it writes down.
PROGRAM = r'''#!{python} -I
import json, os, signal, subprocess, sys, time
folder = {folder!r}
asked = sys.stdin.buffer.read()
question = json.loads(asked)
def note(name, what):
    with open(os.path.join(folder, name), "a") as f:
        f.write(what + "\n")
with open(os.path.join(folder, sys.argv[1] + ".does")) as f:
    does = f.read().split("\n")
answer = {{"id": question["id"], "accept": True}}
what = does[0]
note(sys.argv[1] + ".asked", json.dumps(question))
if what == "look":
    note("around", json.dumps({{"env": dict(os.environ), "cwd": os.getcwd(), "argv": sys.argv[1:],
         "fds": sorted(int(n) for n in os.listdir("/proc/self/fd"))[:-1], "whole": asked.decode(),
         "sid": os.getsid(0) == os.getpid(), "station": os.listdir(does[1]),
         "umount": subprocess.run(["umount", does[1]], capture_output=True).returncode,
         "again": os.listdir(does[1])}}))
elif what == "no":
    answer = {{"id": question["id"], "accept": False, "reason": does[1]}}
elif what == "no unless":
    answer["accept"] = question.get("serial") == does[1]
elif what == "hang":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("hanging", str(os.getpid()))
    time.sleep(600)
elif what == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
elif what == "down":
    sys.exit("cannot reach the MES: connection refused")
elif what == "other":
    answer["id"] = "0" * 32
elif what == "garbage":
    print("it is fine, really"); sys.exit(0)
elif what == "flood":
    while True:
        os.write(1, b"x" * 65536)
elif what == "fork":
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                note("children", str(os.getpid()))
                time.sleep(600)
            os._exit(0)
    if does[1] == "hang":
        time.sleep(600)
    note("children", "")
    while len(open(os.path.join(folder, "children")).read().split()) < 3:
        time.sleep(0.01)
if what != "lie" and answer.get("accept") and sys.argv[1] == "outbox":
    note("taken", json.dumps(question))
print(json.dumps(answer))
'''


SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "docs/hooks.schema.json").read_text())["$defs"]


def differences(question):
    """What is not as docs/hooks.schema.json says: that small part of JSON Schema which it uses."""
    shape = SCHEMA[question.get("event")]
    found = [f"{name} is missing" for name in shape["required"] if name not in question]
    for name, value in question.items():
        rule = shape["properties"].get(name, {"enum": []})
        rule = SCHEMA[rule["$ref"].rsplit("/", 1)[1]] if "$ref" in rule else rule
        fits = (value == rule["const"] if "const" in rule else
                value in rule["enum"] if "enum" in rule else
                isinstance(value, bool) if rule["type"] == "boolean" else
                isinstance(value, str) and re.search(rule["pattern"], value))
        found += [] if fits else [f"{name} is {value!r}"]
    return found


class PlantCase(unittest.TestCase):
    def make(self, before=None, after=None, outbox=False, credentials=4, **options):
        """A station with these hooks: block or warn; its programs say yes until told otherwise."""
        self.rig = Rig(credentials=credentials, **options)
        self.addCleanup(self.rig.close)
        self.plant = self.rig.dir / "plant"
        self.plant.mkdir()
        program = self.plant / "mes"
        program.write_text(PROGRAM.format(python=sys.executable, folder=str(self.plant)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        text = "hooks:\n"
        for name, mode in (("before_claim", before), ("after_result", after), ("outbox", outbox)):
            if mode:
                text += f"  {name}:\n    program: {program}\n    arguments: [{name}]\n"
                text += f"    mode: {mode}\n" if name != "outbox" else ""
                self.does(name, "yes")
        config = self.rig.station / "station.yaml"
        config.write_text(config.read_text() + (text if before or after or outbox else ""))
        return self.rig

    def until(self, found):
        """Waits for what a program writes."""
        deadline = time.monotonic() + 60
        while not found():
            self.assertLess(time.monotonic(), deadline, "it did not come")
            time.sleep(0.02)

    def does(self, name, *what):
        """At once: a program that starts now does the one or the other."""
        new = self.plant / "new"
        new.write_text("\n".join(what))
        new.rename(self.plant / f"{name}.does")

    def noted(self, name):
        path = self.plant / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def asked(self, name):
        questions = self.noted(f"{name}.asked")
        for question in questions:
            self.assertEqual(differences(question), [])
        return questions

    def outbox(self, *options, check=True):
        result = self.rig.imprint("outbox", "--json", *options, check=check)
        return json.loads(result.stdout.splitlines()[0]) if result.stdout else None

    def run_one(self, code=0, slot="S1"):
        got, slots, said = self.rig.run_json(check=False)
        self.assertEqual(got, code, (slots, said))
        return slots[slot]

    def counts(self):
        return self.rig.order_status()

    def assert_gone(self, pids):
        for pid in pids:
            self.assertFalse(pathlib.Path(f"/proc/{pid}").exists(), f"{pid} runs on")


class BeforeClaim(PlantCase):
    def test_a_refused_unit_costs_nothing_and_passes_when_the_plant_says_yes(self):
        rig = self.make(before="block")
        device = rig.add_device()
        self.does("before_claim", "no", "route: FLASH is missing")
        failed = self.run_one(EXIT["REFUSED"])
        self.assertIn("route: FLASH is missing", failed["text"])
        self.assertEqual((failed["event"], failed["action"], failed["error"]),
                         ("fail", "set_aside", "ERR_REFUSED"))
        status = self.counts()
        self.assertEqual((status["unresolved"], status["proven"], status["available"]), (0, 0, 4))
        self.does("before_claim", "yes")
        self.assertEqual(self.run_one()["event"], "pass")
        question = self.asked("before_claim")[0]
        self.assertEqual((question["event"], question["slot"], question["chip"], question["order"],
                          question["firmware"], question["station"], question["version"]),
                         ("claim", "S1", device.chip, "E2E-1", "1.4.2", "line-1", 1))
        # it goes on, or passes again: nothing is claimed, and nobody asked
        asked = len(self.asked("before_claim"))
        self.does("before_claim", "no", "not again")
        self.assertTrue(self.run_one()["again"])
        self.assertEqual(len(self.asked("before_claim")), asked)

    def test_what_is_no_answer_blocks(self):
        """It hangs, crashes, is down, talks nonsense, for ever, or about another unit."""
        rig = self.make(before="block")
        rig.add_device()
        for what, text in (("hang", "did not end within 2 seconds"), ("crash", "signal 11"),
                           ("down", "status 1: cannot reach the MES: connection refused"),
                           ("garbage", "no JSON"), ("other", "'id'"), ("flood", "more than 4096")):
            self.does("before_claim", what)
            failed = self.run_one(EXIT["REFUSED"])
            self.assertIn(text, failed["text"])
            self.assertIn("call the engineer", failed["text"])
            self.assertEqual(failed["action"], "call")
        self.assertEqual((self.counts()["unresolved"], self.counts()["proven"]), (0, 0))
        (self.plant / "mes").unlink()
        self.assertIn("No such file", self.run_one(EXIT["REFUSED"])["text"])

    def test_with_warn_the_line_goes_on_and_says_so(self):
        rig = self.make(before="warn")
        rig.add_device()
        self.does("before_claim", "down")
        passed = self.run_one()
        self.assertEqual(passed["event"], "pass")
        self.assertIn("cannot reach the MES", passed["plant"])
        rig.add_device()
        self.does("before_claim", "no", "no route")
        self.assertIn("no route", self.run_one(slot="S2")["plant"])

    def test_a_unit_is_asked_about_by_its_label(self):
        rig = self.make(before="block", credentials=0, job={"serials": "  source: scanned\n"},
                        order={"serials": {"only": {"prefix": ""}}})
        self.does("before_claim", "no unless", "AB-2")
        for _ in range(2):
            rig.add_device()
        _, slots, said = rig.run_json(check=False, labels="S1 AB-1\nS2 AB-2\n")
        self.assertEqual((slots["S1"]["event"], slots["S2"]["event"]), ("fail", "pass"), said)
        self.assertEqual(sorted(q["serial"] for q in self.asked("before_claim")), ["AB-1", "AB-2"])
        self.assertEqual(self.counts()["generated"], 1)

    def test_without_the_process_that_runs_programs_nothing_is_claimed(self):
        """It was killed: every question is answered, and no vault waits for it."""
        rig = self.make(before="block")
        fixture = Fixture(rig, "s1")
        self.addCleanup(fixture.close)
        rig.write_job(ports=f"  - unix: {fixture.path}\n    slot: S1\n")
        self.does("before_claim", "hang")
        line = Line(rig)
        self.addCleanup(line.close)
        fixture.put_in(rig.add_device())
        self.until(lambda: self.asked("before_claim"))
        for pid in self.hook_processes(line.process.pid):
            os.kill(pid, signal.SIGKILL)
        line.wait_state("S1", "fail")  # its keeper answered still
        line.say(command="ack", slot="S1")
        line.wait(lambda l: l.count("fail") == 2)
        self.assertIn("run the command again", line.states["S1"]["text"])
        self.assertEqual(line.quit()[0], 0)
        self.assertEqual(self.counts()["unresolved"], 0)

    @staticmethod
    def hook_processes(parent):
        """The one that takes questions, without its keepers."""
        return [int(p.name) for p in pathlib.Path("/proc").glob("[0-9]*")
                if (p / "comm").exists() and (p / "comm").read_text() == "imprint-hook\n" and
                (p / "stat").read_text().rsplit(")", 1)[1].split()[1] == str(parent)]

    def test_children_end_with_the_program(self):
        """Also those that left its session; whether it hangs or answers."""
        rig = self.make(before="block")
        rig.add_device()
        for how, code in (("hang", EXIT["REFUSED"]), ("", 0)):
            (self.plant / "children").unlink(missing_ok=True)
            self.does("before_claim", "fork", how)
            self.run_one(code)
            pids = (self.plant / "children").read_text().split()
            self.assertEqual(len(pids), 3)
            self.assert_gone(pids)

    def test_a_program_finds_nothing_of_the_station(self):
        rig = self.make(before="block")
        rig.add_device()
        self.does("before_claim", "look", str(rig.station))
        self.run_one()
        around = self.noted("around")[0]
        self.assertEqual(set(around["env"]) - {"LC_CTYPE"}, {"PATH", "LANG"})
        self.assertEqual((around["cwd"], around["fds"], around["argv"], around["sid"]),
                         ("/", [0, 1, 2], ["before_claim"], True))
        self.assertEqual(around["whole"].count("\n"), 1)
        self.assertEqual((around["station"], around["again"]), ([], []))
        self.assertNotEqual(around["umount"], 0)
        self.assertTrue((rig.station / "station.db").exists())
        config = rig.station / "station.yaml"
        config.write_text(config.read_text().replace(str(self.plant), str(rig.station)))
        self.assertIn("put it elsewhere", rig.imprint("status", check=False).stderr)

    def test_one_slot_waits_and_the_others_do_not(self):
        """A program that hangs for one unit holds up no other."""
        rig = self.make(before="block", credentials=2)
        fixtures = [Fixture(rig, f"s{n}") for n in (1, 2)]
        for fixture in fixtures:
            self.addCleanup(fixture.close)
        rig.write_job(ports="".join(f"  - unix: {f.path}\n    slot: S{n}\n"
                                    for n, f in enumerate(fixtures, 1)))
        self.does("before_claim", "hang")
        line = Line(rig)
        self.addCleanup(line.close)
        fixtures[0].put_in(rig.add_device())
        self.until(lambda: self.asked("before_claim"))
        self.does("before_claim", "yes")
        fixtures[1].put_in(rig.add_device())
        line.wait_state("S2", "pass")
        line.wait_state("S1", "fail")
        order = [e["slot"] for e in line.events if e.get("event") in ("pass", "fail")]
        self.assertEqual(order, ["S2", "S1"])
        line.say(command="ack", slot="S1")
        line.wait_state("S1", "pass")
        line.quit()


class AfterResult(PlantCase):
    def test_a_result_that_is_not_taken_holds_the_unit(self):
        rig = self.make(after="block")
        rig.add_device()
        self.does("after_result", "no", "lot is on hold")
        held = self.run_one(EXIT["REFUSED"])
        self.assertIn("lot is on hold", held["text"])
        self.assertIn("is finished as 'PUMP-000001' and is held", held["text"])
        self.assertEqual(self.counts()["proven"], 1)  # it stays so: what is recorded is recorded
        self.does("after_result", "yes")
        self.assertTrue(self.run_one()["again"])
        first, second = self.asked("after_result")
        self.assertEqual((first["result"], first["serial"], first["again"], second["again"]),
                         ("pass", "PUMP-000001", False, True))
        self.assertNotEqual(first["id"], second["id"])

    def test_with_warn_the_result_says_what_was_said(self):
        rig = self.make(after="warn")
        rig.add_device()
        self.does("after_result", "hang")
        self.assertIn("did not end within 2 seconds", self.run_one()["plant"])

    def test_a_failure_is_told_and_stays_what_it_was(self):
        rig = self.make(after="block", credentials=0)
        device = rig.add_device()
        self.does("after_result", "no", "why not")
        failed = self.run_one(EXIT["EXHAUSTED"])
        self.assertEqual((failed["error"], failed["action"]), ("ERR_EXHAUSTED", "generate"))
        self.assertIn("why not", failed["plant"])
        told, = self.asked("after_result")
        self.assertEqual((told["result"], told["error"], told["chip"], told.get("serial")),
                         ("fail", "ERR_EXHAUSTED", device.chip, None))


    def test_attempts_that_are_repeated_are_no_results(self):
        rig = self.make(after="warn", outbox=True)
        fixture = Fixture(rig, "s1")
        self.addCleanup(fixture.close)
        rig.write_job(ports=f"  - unix: {fixture.path}\n    slot: S1\n", request_ms=200, repeats=0)
        line = Line(rig)
        self.addCleanup(line.close)
        fixture.put_in(rig.add_device("--fault=slow=400"))
        line.wait_state("S1", "fail")
        line.quit()
        self.assertEqual(line.count("retry"), 2)
        self.assertEqual([q["result"] for q in self.asked("after_result")],
                         ["fail"] * line.count("fail"))
        self.assertEqual([q["id"] for q in self.asked("outbox")],
                         [q["id"] for q in self.asked("after_result")])


class Outbox(PlantCase):
    def test_results_of_a_time_when_the_mes_was_down_arrive_in_order(self):
        rig = self.make(outbox=True)
        self.does("outbox", "down")
        for _ in range(3):
            rig.add_device()
        code, slots, said = rig.run_json()
        self.assertEqual((code, {s["event"] for s in slots.values()}), (0, {"pass"}), said)
        state = self.outbox()
        self.assertEqual((state["depth"], state["program"]), (3, True))
        self.assertIn("connection refused", state["error"])
        self.assertIsNotNone(state["oldest"])
        self.outbox("--send", check=False)
        self.assertEqual(self.outbox()["depth"], 3)
        self.does("outbox", "yes")
        self.assertEqual(self.outbox("--send")["depth"], 0)
        self.assertIsNone(self.outbox()["error"])
        taken = self.noted("taken")
        self.assertEqual(sorted(e["serial"] for e in taken),
                         ["PUMP-000001", "PUMP-000002", "PUMP-000003"])
        self.assertEqual(len({e["id"] for e in taken}), 3)
        asked = [e["serial"] for e in self.asked("outbox")]
        self.assertEqual(set(asked[:asked.index(taken[1]["serial"])]), {taken[0]["serial"]})

    def test_a_running_line_sends_by_itself_and_never_waits(self):
        rig = self.make(outbox=True)
        self.does("outbox", "hang")
        fixture = Fixture(rig, "s1")
        self.addCleanup(fixture.close)
        rig.write_job(ports=f"  - unix: {fixture.path}\n    slot: S1\n")
        line = Line(rig)
        self.addCleanup(line.close)
        for n in (1, 2):
            fixture.put_in(rig.add_device())
            line.wait_state("S1", "pass", serial=f"PUMP-00000{n}")
            fixture.take_out()
            line.wait_state("S1", "wait")
        self.assertEqual(self.noted("taken"), [])
        self.does("outbox", "yes")
        self.until(lambda: len(self.noted("taken")) == 2)
        self.assertEqual(line.quit()[0], 0)
        self.assertEqual(self.outbox()["depth"], 0)

    def test_what_answers_for_another_event_did_not_take_it(self):
        rig = self.make(outbox=True)
        for what in ("other", "garbage", "flood"):
            self.does("outbox", what)
            rig.add_device()
            rig.run_json()
        self.assertEqual(self.outbox()["depth"], 3 + 2 + 1)  # those that passed again, too

    def test_a_station_that_was_killed_sends_what_it_recorded(self):
        """Between the result and its delivery, and while it is delivered."""
        rig = self.make(outbox=True)
        self.does("outbox", "hang")
        fixture = Fixture(rig, "s1")
        self.addCleanup(fixture.close)
        rig.write_job(ports=f"  - unix: {fixture.path}\n    slot: S1\n")
        for n in (1, 2):
            line = Line(rig)
            self.addCleanup(line.close)
            fixture.put_in(rig.add_device())
            line.wait_state("S1", "pass", serial=f"PUMP-00000{n}")
            self.until(lambda: len(self.noted("hanging")) == n)
            os.kill(line.process.pid, signal.SIGKILL)
            line.process.wait()
            self.until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists()
                                       for pid in self.noted("hanging")))
            fixture.take_out()
        self.does("outbox", "yes")
        self.outbox("--send")
        taken = self.noted("taken")
        self.assertEqual([e["serial"] for e in taken], ["PUMP-000001", "PUMP-000002"])
        ids = [e["id"] for e in self.asked("outbox")]
        self.assertEqual(ids[0], ids[1])  # the same event again bears the same id
        self.assertEqual(len(set(ids)), 2)

    def test_an_identity_that_ended_is_told(self):
        rig = self.make(outbox=True)
        device = rig.add_device()
        self.run_one()
        rig.imprint("void", "PUMP-000001", "--by", "Ada", "--reason", "a test")
        self.assertEqual(self.outbox("--send")["depth"], 0)
        passed, ended = self.noted("taken")
        self.assertEqual(differences(ended), [])
        self.assertEqual((ended["event"], ended["state"], ended["serial"], ended["chip"]),
                         ("ended", "revoked", "PUMP-000001", device.chip))
        self.assertEqual(ended["transaction"], passed["transaction"])

    def test_without_a_program_nothing_waits(self):
        rig = self.make()
        rig.add_device()
        self.run_one()
        self.assertEqual((self.outbox()["program"], self.outbox()["depth"]), (False, 0))
        self.assertEqual(rig.imprint("outbox", "--send", check=False).returncode, EXIT["MISSING"])


class Receiver(http.server.BaseHTTPRequestHandler):
    """The plant's server: it stores an event, and then says that it is fine, if it is up."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.up:
            self.server.stored.append(json.loads(body))
        self.send_response(200 if self.server.up else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


class Guide(PlantCase):
    """The programs of docs/hooks.md, as they stand there."""

    def make_example(self, number, name, **replaced):
        text = (pathlib.Path(__file__).parents[2] / "docs/hooks.md").read_text()
        program = re.findall(r"(?s)```sh\n(.*?)```", text)[number]
        for old, new in replaced.values():
            self.assertIn(old, program)
            program = program.replace(old, new)
        rig = self.make(**{name: "block"})
        (self.plant / "mes").write_text(program)
        return rig

    def test_a_route_check_in_a_shell(self):
        rig = self.make_example(0, "before")
        rig.add_device()
        self.assertEqual(self.run_one()["event"], "pass")
        mes = self.plant / "mes"
        mes.write_text(mes.read_text().replace("09506000134352", "09506000134369"))
        rig.add_device()
        self.assertIn("this line makes pumps", self.run_one(EXIT["REFUSED"], "S2")["text"])

    def test_events_are_posted_to_a_server(self):
        server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
        server.up, server.stored = False, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        rig = self.make_example(1, "outbox", url=(
            "https://mes.example/imprint", f"http://127.0.0.1:{server.server_port}/"))
        rig.add_device()
        self.run_one()
        state = self.outbox()
        self.assertEqual(state["depth"], 1)
        self.assertIn("503", state["error"])
        server.up = True
        self.assertEqual(self.outbox("--send")["depth"], 0)
        self.assertEqual([differences(e) for e in server.stored], [[]])
        self.assertEqual(server.stored[0]["serial"], "PUMP-000001")


if __name__ == "__main__":
    unittest.main()
