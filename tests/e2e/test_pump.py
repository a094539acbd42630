"""Pumps that a station provisioned, and the server that lets in those of the accepted whitelist.

Keys, certificates and trust anchors are what the devices hold after the station was done with them.
"""
import base64
import os
import subprocess
import unittest

from rig import BUILD, MANIFEST, Rig, run, run_bytes

PUMP = BUILD / "tools/examples/pump"
SERVER = BUILD / "tools/examples/whitelist_server"
LET_IN, CANNOT, WRONG_SERVER, TURNED_AWAY = 0, 1, 3, 4
SUBJECT = "/O=Owner/CN="


class Server:
    """whitelist_server with a certificate below the root that it is given."""

    def __init__(self, rig, root="root", host="localhost", device_root=None):
        folder = rig.owner
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", SUBJECT + host, "-keyout", folder / "server.key", "-out", folder / "server.csr")
        (folder / "server.ext").write_text(f"subjectAltName=DNS:{host}\nextendedKeyUsage=serverAuth\n")
        run("openssl", "x509", "-req", "-in", folder / "server.csr", "-CA", folder / f"{root}.pem",
            "-CAkey", folder / f"{root}.key", "-days", "30", "-extfile", folder / "server.ext", "-out",
            folder / "server.pem")
        self.process = subprocess.Popen(
            [SERVER, rig.dir / "whitelist", device_root or rig.station / "trust/device-root.pem",
             folder / "server.pem", folder / "server.key"], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def said(self):
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def key_that_claims_to_be(certificate):
    """A private key (SEC 1) of somebody else that names the public key of a certificate as its own."""
    public = run("openssl", "x509", "-in", certificate, "-noout", "-pubkey").stdout
    point = run_bytes("openssl", "pkey", "-pubin", "-outform", "DER", input=public.encode())[-65:]
    der = (bytes.fromhex("3077020101" "0420") + b"\1" + os.urandom(31) +
           bytes.fromhex("a00a06082a8648ce3d030107" "a144034200") + point)
    return (b"-----BEGIN EC PRIVATE KEY-----\n" + base64.encodebytes(der) +
            b"-----END EC PRIVATE KEY-----\n")


class Pump(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(credentials=5)
        self.addCleanup(self.rig.close)
        self.pumps = {}

    def provision(self, count):
        """That many pumps more; their serials."""
        for _ in range(count):
            self.rig.add_device()
        _, slots, _ = self.rig.run_json()
        before = set(self.pumps)
        for device in self.rig.devices:
            folder = device.export()
            self.pumps[(folder / "serial").read_text().strip()] = folder
        self.assertEqual(len(self.pumps), len(before) + count)
        return sorted(set(self.pumps) - before)

    def serve(self, *options, **named):
        server = Server(self.rig, *options, **named)
        self.addCleanup(server.close)
        return server

    def connect(self, server, folder):
        return run(PUMP, folder, f"localhost:{server.port}", check=False)

    def let_in(self, server, serial):
        result = self.connect(server, self.pumps[serial])
        self.assertEqual((result.returncode, result.stdout), (LET_IN, "TLSv1.3: welcome\n"),
                         result.stderr)
        self.assertRegex(server.said(), f"^ok: .*'acme.example/wl/line-1'")

    def turned_away(self, server, folder, log, alert):
        result = self.connect(server, folder)
        self.assertEqual((result.returncode, result.stdout), (TURNED_AWAY, ""), result.stderr)
        self.assertIn(alert, result.stderr)
        self.assertRegex(server.said(), log)

    def decide(self, command, serial, *options):
        run(MANIFEST, command, "--state", self.rig.dir / "whitelist", *options, serial)

    def test_who_is_let_in_and_who_is_turned_away(self):
        good, held, stolen, returned = self.provision(4)
        self.rig.seal()
        self.rig.accept()
        server = self.serve()
        for serial in (good, held, stolen, returned):
            self.let_in(server, serial)

        # The same CA, the same order, and a key that was proven: but no accepted manifest says so.
        [early] = self.provision(1)
        self.turned_away(server, self.pumps[early], "^unknown: ", "bad certificate")
        self.rig.imprint("void", returned, "--reason", "returned by the customer", "--reason-code",
                         "keyCompromise")
        self.decide("hold", held, "--why", "dropped")
        self.decide("revoke", stolen, "--why", "stolen", "--reason", "keyCompromise")
        self.turned_away(server, self.pumps[held], "^held: held by the owner", "certificate revoked")
        self.turned_away(server, self.pumps[stolen], "^revoked: revoked by the owner",
                         "certificate revoked")
        self.let_in(server, returned)  # what the factory says counts once its manifest is accepted
        self.rig.seal()
        self.rig.accept(check=False)
        self.turned_away(server, self.pumps[returned], "^revoked: ", "certificate revoked")
        self.let_in(server, early)
        self.let_in(server, good)

    def test_strangers(self):
        [serial] = self.provision(1)
        self.rig.seal()
        self.rig.accept()
        server = self.serve()
        pump = self.pumps[serial]

        # Another CA that uses the same names; the server knows it by its root alone.
        stranger = self.rig.dir / "stranger"
        stranger.mkdir()
        (stranger / "trust-anchors.pem").write_bytes((pump / "trust-anchors.pem").read_bytes())
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-subj", f"/O=Acme Medical/serialNumber={serial}", "-keyout",
            stranger / "key.pem", "-out", stranger / "certificates.pem")
        self.turned_away(server, stranger, "^untrusted: self.signed certificate", "unknown ca")

        # A certificate is public; without its key it is worth nothing, whatever the thief's file says.
        thief = self.rig.dir / "thief"
        thief.mkdir()
        for name in ("certificates.pem", "trust-anchors.pem"):
            (thief / name).write_bytes((pump / name).read_bytes())
        (thief / "key.pem").write_bytes((stranger / "key.pem").read_bytes())
        self.assertEqual(self.connect(server, thief).returncode, CANNOT)
        (thief / "key.pem").write_bytes(key_that_claims_to_be(pump / "certificates.pem"))
        self.turned_away(server, thief, "^no handshake: bad signature", "decrypt error")

        for options in (("-tls1_2", "-cert", pump / "certificates.pem", "-key", pump / "key.pem"),
                        ("-tls1_3",)):
            done = run("openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-quiet",
                       *options, check=False, stdin=subprocess.DEVNULL)
            self.assertNotIn("welcome", done.stdout)
            self.assertRegex(server.said(), "^no handshake: ")
        self.let_in(server, serial)

    def test_a_pump_talks_only_to_a_server_of_its_owner(self):
        [serial] = self.provision(1)
        self.rig.seal()
        self.rig.accept()
        for options, reason in (({"root": "orders"}, "unable to get local issuer certificate"),
                                ({"host": "other.example"}, "hostname mismatch")):
            server = self.serve(**options)
            result = self.connect(server, self.pumps[serial])
            self.assertEqual((result.returncode, result.stdout), (WRONG_SERVER, ""), result.stderr)
            self.assertIn(reason, result.stderr)
            self.assertRegex(server.said(), "^no handshake: ")

    def test_a_state_that_cannot_be_read_lets_nobody_in(self):
        [serial] = self.provision(1)
        self.rig.seal()
        self.rig.accept()
        server = self.serve()
        state = self.rig.dir / "whitelist"
        state.write_bytes(b"\0" * state.stat().st_size)
        self.turned_away(server, self.pumps[serial], "^failed: ", "internal error")


if __name__ == "__main__":
    unittest.main(verbosity=2)
