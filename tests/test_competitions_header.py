"""Sizes from headers alone are those that opening the image gives."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from kagglekit.competitions import header


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (300, 7), (20, 30, 3)])
def test_size_of_what_opencv_writes(tmp_path: Path, suffix: str, shape) -> None:
    path = tmp_path / f"image{suffix}"
    cv2.imwrite(str(path), np.zeros(shape, np.uint8))
    assert header.read_size(path) == shape[:2]


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


FRAME = struct.pack(">BHHB", 8, 5, 9, 3) + bytes(9)


def test_jpeg_segments(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    cases = {
        jpeg(segment(0xC0, FRAME)): (5, 9),
        jpeg(segment(0xE1, bytes(3000)), segment(0xC4, b"table"), b"\xff", segment(0xC2, FRAME)): (
            5,
            9,
        ),
        jpeg(segment(0xE1, bytes(5000)), segment(0xC0, FRAME)): None,  # too late in the file
        jpeg(segment(0xC4, FRAME)): None,
        jpeg(segment(0xC0, FRAME))[:8]: None,
        jpeg(segment(0xC0, struct.pack(">BHHB", 8, 0, 9, 3))): None,  # the height comes later
        jpeg(b"nonsense"): None,
        b"": None,
        b"II*\x00": None,
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR": None,
    }
    for content, size in cases.items():
        path.write_bytes(content)
        assert header.read_size(path) == size, content[:40]
    with pytest.raises(FileNotFoundError):
        header.read_size(tmp_path / "gone.png")
