"""Reads the flash of a device that runs lib/agent, sharing no code with it.

The layout is that of lib/agent/slots.c and agent.h: three regions, each structure with a magic
number and a CRC-32. tools/firmware/run keeps them in one file, at the offsets of its board.h;
tools/device in a folder with a file for each, and beside each byte another that says whether it was
written.
"""
import pathlib
import struct
import zlib

SLOTS = (0x2000, 0x4000)
SLOT_SIZE, AT_COMMIT, AT_LOCK, AT_OBJECTS = 0x2000, 768, 896, 1024
RECORD = struct.Struct(">4sH16s32s32s32s32s65s65sB64sB320s2sI")
COMMIT = struct.Struct(">4sI32s32s32sI")
OBJECT = struct.Struct(">HHI32s")
PRIVATE_KEY, CERTIFICATES, TRUST_ANCHORS, FIRMWARE_KEY = 1, 2, 3, 4
SYMMETRIC_KEY, CONFIGURATION, CONFIGURATION_KEY, DECOMMISSION_KEY = 5, 6, 7, 8


class Identity:
    """What a device may use: members key (the scalar), serial, transaction, count, locked, objects."""

    def __init__(self, record, commit, slot):
        self.transaction, self.serial = record[2], record[10][:record[9]].decode()
        self.count, self.leaf_hash, self.key, self.symmetric = commit[1:5]
        self.locked = slot[AT_LOCK:AT_LOCK + 16] != b"\xff" * 16
        self.objects, at = {}, AT_OBJECTS
        for number in range(record[11]):
            kind, _, length, _ = OBJECT.unpack_from(record[12], number * OBJECT.size)
            self.objects[kind] = slot[at:at + length]
            at += (length + 15) // 16 * 16


def whole(layout, magic, data):
    """The fields of a structure, or None when it is not whole."""
    fields = layout.unpack_from(data)
    return fields if fields[0] == magic and \
        zlib.crc32(data[:layout.size - 4]) == fields[-1] else None


def read_slot(slot):
    record = whole(RECORD, b"imp\1", slot)
    commit = whole(COMMIT, b"imc\1", slot[AT_COMMIT:])
    return Identity(record, commit, slot) if record and commit else None


def read(path):
    """The identity in force, or None."""
    with open(path, "rb") as file:
        memory = file.read(SLOTS[-1] + SLOT_SIZE)
    found = [i for i in (read_slot(memory[at:at + SLOT_SIZE]) for at in SLOTS) if i]
    return max(found, key=lambda identity: identity.count, default=None)


def read_folder(folder):
    """The identity in force of a simulated device, or None."""
    slots = [pathlib.Path(folder) / name for name in ("slot-a", "slot-b")]
    found = [i for i in (read_slot(s.read_bytes()[0::2]) for s in slots if s.exists()) if i]
    return max(found, key=lambda identity: identity.count, default=None)
