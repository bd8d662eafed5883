"""Damage files at random and read them; run as a program, so that a crash or a hang is seen.

    python -m tests.slides_fuzz FOLDER SEED COUNT

Prints how many reads ended in which way; the last line of a crashed run names the file.
"""

import collections
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from kagglekit.errors import SlideError
from kagglekit.slides import open_slide
from tests.slides_damage import LAYOUTS
from tests.slides_factory import picture

VICTIMS = [
    "strips of 8, raw, by pixel",
    "tiles, LZW, by pixel",
    "one strip, LZW, by pixel",
    "strips of 8, deflate, by band",
    "tiles, zstd, by pixel",
    "strips of 8, PackBits, by pixel",
    "strips of 8, LZMA, by pixel",
    "tiles of float32, predictor",
    "BigTIFF, big endian",
    "RGBA",
    "5-D",
    "5-D, OME BigTIFF tiles",
    "pyramid in SubIFDs",
    "full, thumbnail, label",
    "fax, white is zero",
    "JPEG tiles",
    "JPEG strips, RGB",
    "PNG",
    "PNG, interlaced",
    "JPEG",
    "JPEG progressive",
    "GIF",
    "npy",
]


def spoil(data, rng):
    """Cut a file off, or change bytes of it: anywhere, in a block, near its start, near its end."""
    data = bytearray(data)
    at = int(rng.integers(len(data)))
    match int(rng.integers(6)):
        case 0:
            return data[:at]
        case 1:
            data[at : at + 60] = bytes(len(data[at : at + 60]))
        case 2:
            data[at : at + 300] = rng.bytes(len(data[at : at + 300]))
        case kind:
            near = {3: len(data), 4: min(len(data), 300), 5: min(len(data), 700)}[kind]
            for _ in range(rng.integers(1, 8)):
                at = int(rng.integers(near))
                data[at if kind < 5 else -1 - at] = rng.integers(256)
    return data


def attempt(path):
    """Open, and read all of it or a corner of what claims to be huge."""
    try:
        with open_slide(path) as slide:
            height, width = slide.shape
            if height * width * slide.channels > 100_000_000:
                height, width = min(height, 64), min(width, 64)
            slide.read(0, height, 0, width)
    except SlideError as error:
        return "refused" if str(error).startswith(f"{path}: ") else f"no name in: {error}"
    except Exception as error:
        return f"untyped: {error!r}"
    return "read"


def main(folder, seed, count):
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(seed)
    ends, slowest = collections.Counter(), 0.0
    for i in range(count):
        name = VICTIMS[i % len(VICTIMS)]
        good, path = folder / name, folder / "spoiled.tiff"
        if not good.exists():
            LAYOUTS[name](good, picture((75, 91)))
        path.write_bytes(spoil(good.read_bytes(), rng))
        start = time.monotonic()
        ends[attempt(path)] += 1
        slowest = max(slowest, time.monotonic() - start)
    print(json.dumps({"ends": ends, "slowest": slowest}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
