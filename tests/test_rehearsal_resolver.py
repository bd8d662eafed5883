"""The sandbox's name server: what it reads out of queries, and what it answers."""

import runpy
import socket
import struct
from pathlib import Path

import pytest

from kagglekit.rehearsal import rehearse

RESOLVER = runpy.run_path(str(Path(rehearse.__file__).parent / "inside" / "resolver.py"))


def query(name: str, more: bytes = b"") -> bytes:
    """Build a query by the standard's description: one question, perhaps further records."""
    header = struct.pack(">6H", 0xBEEF, 0x0100, 1, 0, 0, 1 if more else 0)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return header + labels + b"\0" + struct.pack(">2H", 28, 1) + more


@pytest.mark.parametrize("name", ["a", "example.org", "x.y." + "z" * 63])
@pytest.mark.parametrize("more", [b"", b"\0\0\x29\x04\xd0\0\0\0\0\0\0"])
def test_a_query_is_answered_by_its_own_question_and_a_failure(name: str, more: bytes) -> None:
    packet = query(name, more)
    found, end = RESOLVER["question"](packet)
    assert (found, packet[end:]) == (name, more)
    answer = RESOLVER["refusal"](packet, end)
    number, flags, *counts = struct.unpack(">6H", answer[:12])
    assert (number, counts) == (0xBEEF, [1, 0, 0, 0])
    assert flags & 0x8000  # a response
    assert flags & 0xF == 2  # server failure
    assert answer[12:] == query(name)[12:]


def test_who_asked_is_found_by_the_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        own = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        assert RESOLVER["asker"](client.getsockname()[1]) == own[:200]
    assert RESOLVER["asker"](1) == ""
