#!/usr/bin/python3
"""Agents that are broken on purpose, and the cases of `imprint conform` that find each.

A mutant is one change of one file of lib/agent, made while the tests are built: what is shipped has no
switch for it. The text that is changed must be there exactly once, so no mutant is lost unseen.

usage: mutants.py list                  name and file of each, for meson
       mutants.py make NAME IN OUT      the changed file
"""
import pathlib
import sys

# name: (file, what is there, what the mutant has, the cases that must fail)
MUTANTS = {
    "crc": (
        "frame.c", "return crc == imprint_agent_load_u32(agent->frame + agent->frame_len);",
        "return crc == crc;", {"crc", "crc-covers-all"}),
    "link-version": (
        "agent.c", "if (agent->frame[0] != IMPRINT_LINK_VERSION)", "if (0)", {"link-version"}),
    "echo": (
        "agent.c", "if (!(agent->frame[1] & IMPRINT_MSG_REPLY))", "", {"echo"}),
    "largest-frame": (
        "frame.c", "if (agent->frame_len == sizeof agent->frame)",
        "if (agent->frame_len == sizeof agent->frame - 1)", {"largest-frame"}),
    "cbor-not-shortest": (
        "wire.c", "|| v < shortest ||", "||", {"cbor-not-shortest"}),
    "cbor-trailing": (
        "agent.c", "return !e->in.bad && e->in.left == 0;", "return !e->in.bad;", {"cbor-trailing"}),
    "cbor-count": (
        "agent.c", "if (members == 0 || !understood(e))", "if (!understood(e))", {"cbor-count"}),
    "begin-row": (
        "bundle.c", "imprint_agent_cbor_exact(r, IMPRINT_AGENT_ARRAY, 4);",
        "(void)imprint_agent_cbor_head(r, IMPRINT_AGENT_ARRAY, 4);", {"begin-row"}),
    "station-signature": (
        "bundle.c", "return c->p256_verify(c->context, key, digest, b->sig) ? IMPRINT_OK : IMPRINT_ERR_STATION;",
        "return IMPRINT_OK;",
        {"station-signature", "station-fields", "station-device", "keygen-signature"}),
    "station-authority": (
        "bundle.c", "if (p->authority &&", "if (0 &&", {"stranger", "station-certificate"}),
    "station-environment": (
        "bundle.c", "|| len != b->environment_len ||\n        memcmp(environment, b->environment, len) != 0)",
        ")", {"station-environment"}),
    "begin-busy": (
        "bundle.c", "if (i == agent->open)\n                return IMPRINT_ERR_BUSY;", ";",
        {"begin-busy"}),
    "put-other-bytes": (
        "agent.c", "if (byte != *bytes++)\n            return IMPRINT_ERR_BUNDLE;", "bytes++;",
        {"put-other-bytes"}),
    "put-unaligned": (
        "agent.c", "if (len % IMPRINT_PUT_ALIGN != 0 && offset + len != length)", "if (0)",
        {"put-unaligned"}),
    "object-hash": (
        "bundle.c", "if (!imprint_agent_equal(digest, object->hash, sizeof digest))", "if (0)",
        {"commit-hash", "commit-starts-over", "commit-failed-identity"}),
    "key-confirmation": (
        "bundle.c", "||\n        !imprint_agent_equal(spki, expected, len))", ")",
        {"commit-certificate", "commit-made-certificate", "commit-pkcs8"}),
    "abort-key": (
        "slots.c", "return erase_key(agent) && erase_slot(agent, i) && imprint_agent_load(agent);",
        "return (!imprint_agent_made_transaction(agent) || erase_key(agent)) && erase_slot(agent, i) &&\n"
        "           imprint_agent_load(agent);",
        {"abort-key", "abort-open", "begin-before-hello"}),
    "keygen-other": (
        "keygen.c", "if (m->open ? memcmp(m->request, k->request, IMPRINT_HASH_SIZE) != 0 : open != NULL)",
        "if (!m->open && open != NULL)", {"keygen-other"}),
    "restart-open": (
        "slots.c", "slot->state = IMPRINT_AGENT_SLOT_STALE;\n    return load_commit",
        "slot->state = IMPRINT_AGENT_SLOT_OPEN;\n    return load_commit", {"restart-open"}),
    "life-cycle": (
        "transcript.c", "imprint_agent_put_u8(w, imprint_agent_lifecycle(agent));\n    imprint_agent_put(w, count",
        "imprint_agent_put_u8(w, IMPRINT_LIFE_FACTORY);\n    imprint_agent_put(w, count",
        {"lock", "locked-abort", "locked-restart"}),
    "lock-abort": (
        "agent.c", "if (is_locked(agent))\n        return IMPRINT_ERR_LOCKED;\n    if ((agent->has_key",
        "if ((agent->has_key", {"locked-abort"}),
    "decommission-signature": (
        "decommission.c", "if (!c->p256_verify(c->context, point, digest, said->sig))", "if (0)",
        {"decommission-signature"}),
}

# Agents that claim less than they can, made likewise: nothing else is wrong with them, but that the one
# without mode 2 still has KEYGEN.
MUTANTS |= {
    "device-mode": (
        "transcript.c", "IMPRINT_KEY_FACTS_MODES, MODES | other_modes(agent));", "IMPRINT_KEY_FACTS_MODES, IMPRINT_MODE_DEVICE);",
        set()),
    "derived-mode": (
        "transcript.c", "IMPRINT_KEY_FACTS_MODES, MODES | other_modes(agent));", "IMPRINT_KEY_FACTS_MODES, IMPRINT_MODE_DERIVED);",
        {"keygen-absent"}),
}

# One that a malformed request brings to a stop.
HANGS = "hangs"
MUTANTS[HANGS] = (
    "agent.c", "read_map(e, 0);\n    if (!understood(e))\n        return IMPRINT_ERR_FORMAT;",
    "read_map(e, 0);\n    if (!understood(e)) {\n        extern int pause(void);\n        pause();\n    }",
    {"abort-format"})


def make(name, source, out):
    _, old, new, _ = MUTANTS[name]
    text = pathlib.Path(source).read_text()
    if text.count(old) != 1:
        sys.exit(f"mutants.py: '{name}': {source} has this {text.count(old)} times, not once:\n{old}")
    pathlib.Path(out).write_text(text.replace(old, new))


if __name__ == "__main__":
    if sys.argv[1:] == ["list"]:
        for mutant, (file, *_) in MUTANTS.items():
            print(mutant, file)
    elif len(sys.argv) == 5 and sys.argv[1] == "make":
        make(*sys.argv[2:])
    else:
        sys.exit(__doc__)
