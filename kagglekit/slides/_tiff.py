"""The index of a TIFF: what each page says of itself.

GDAL shows one page at a time and turns some kinds of pixels into others without saying so. What
is decided here (which page is the picture, what its numbers mean, how long the file has to be)
needs what the file itself says. Format: TIFF 6.0 (Adobe, 1992), BigTIFF (Aware Systems, 2007).
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kagglekit.errors import SlideError

_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SIZES = {2: 1, 5: 8, 7: 1, 10: 8, 11: 4, 12: 8}  # types whose values are not integers
_BY_BAND = 2
_MOST_PAGES = 4096
_LONGEST_TEXT = 1 << 20
_FETCH = "the file was probably cut off: fetch it again, and compare its size with the original's"

_Entry = tuple[int, int, int]  # type, number of values, where they are


@dataclass(frozen=True)
class Page:
    """What one page (image file directory) says.

    Attributes:
        number: place in the file's chain, from 1, as GDAL counts.
        shape: (height, width) in pixels.
        bits: bits of each sample.
        sample_format: 1 unsigned, 2 signed, 3 float; others exist.
        samples: numbers stored per pixel.
        compression: TIFF's code; 1 is none.
        predictor: TIFF's code of what was done to the numbers before compression; 1 is nothing.
        photometric: TIFF's code of what the numbers mean; None when it is not said.
        extra: what each sample beyond the colours is: 1 and 2 are alpha.
        strip_rows: rows of a strip; None in a tiled page.
        reduced: a smaller copy of another page, or a mask.
        description: free text.
        needs: length in bytes that the file must have for all this page's pixels to be in it.
        unlisted: stored blocks that the page has, and its index no place for: GDAL shows zeros.
    """

    number: int
    shape: tuple[int, int]
    bits: tuple[int, ...]
    sample_format: tuple[int, ...]
    samples: int
    compression: int
    predictor: int
    photometric: int | None
    extra: tuple[int, ...]
    strip_rows: int | None
    reduced: bool
    description: str
    needs: int
    unlisted: int


def read_pages(path: Path) -> list[Page]:
    """Read the index of a TIFF; no pixel is touched.

    Raises:
        SlideError: the index is damaged, or lies beyond the end of the file.
    """
    with path.open("rb") as file:
        return _Index(path, file).pages()


class _Index:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file = path, file
        self.size = os.fstat(file.fileno()).st_size
        head = self._bytes(0, 8, "its header")
        self.order = "<" if head[:2] == b"II" else ">"
        self.big = head[2:4] in (b"+\0", b"\0+")

    def pages(self) -> list[Page]:
        at = self._one("Q", self._bytes(8, 8, "its header")) if self.big else None
        at = self._one("I", self._bytes(4, 4, "its header")) if at is None else at
        found: list[Page] = []
        seen: set[int] = set()
        while at and at not in seen:  # a chain that bites its own tail ends there
            seen.add(at)
            if len(seen) > _MOST_PAGES:
                raise SlideError(
                    f"{self.path}: more than {_MOST_PAGES:,} pages; expected one picture",
                    hint="save the page you need as a file of its own",
                )
            page, at = self._page(at, len(seen))
            found.append(page)
        if not found:
            raise SlideError(f"{self.path}: a TIFF header without any page", hint=_FETCH)
        return found

    def _page(self, at: int, number: int) -> tuple[Page, int]:
        what = f"the index of page {number}"
        wide, entry, word = (8, 20, "Q") if self.big else (2, 12, "I")
        count = self._one("Q" if self.big else "H", self._bytes(at, wide, what))
        size = struct.calcsize(word)
        block = self._bytes(at + wide, count * entry + size, what)
        tags: dict[int, _Entry] = {}
        for i in range(count):
            tag, kind = struct.unpack_from(self.order + "HH", block, i * entry)
            values = self._one(word, block[i * entry + 4 :])
            inline = at + wide + i * entry + 4 + size
            length = values * self._item(kind)
            place = inline if length <= size else self._one(word, block[i * entry + 4 + size :])
            tags.setdefault(tag, (kind, values, place))
        return self._describe(tags, number), self._one(word, block[count * entry :])

    def _describe(self, tags: dict[int, _Entry], number: int) -> Page:
        def first(tag: int, default: int) -> int:
            values = self._values(tags[tag], number, 1) if tag in tags else ()
            return values[0] if values else default

        def some(tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
            return self._values(tags[tag], number, 64) if tag in tags else default

        height, width = first(257, 0), first(256, 0)
        if height < 1 or width < 1:
            raise SlideError(
                f"{self.path}: page {number} is {height} rows of {width} columns; "
                "expected at least one of each",
                hint="the file is damaged: fetch it again",
            )
        tiled = 322 in tags
        rows, columns = first(323, 0) or height, first(322, 0) or width
        if not tiled:
            rows = min(first(278, height) or height, height)
        blocks = -(-height // rows) * -(-width // columns)
        blocks *= first(277, 1) if first(284, 1) == _BY_BAND else 1
        lists = [tags[tag][1] for tag in ((324, 325) if tiled else (273, 279)) if tag in tags]
        return Page(
            number=number,
            shape=(height, width),
            bits=some(258, (1,)),
            sample_format=some(339, (1,)),
            samples=first(277, 1),
            compression=first(259, 1),
            predictor=first(317, 1),
            photometric=first(262, -1) if 262 in tags else None,
            extra=some(338, ()),
            strip_rows=None if tiled else rows,
            reduced=bool(first(254, 0) & 0b101),
            description=self._text(tags[270], number) if 270 in tags else "",
            needs=self._needs(tags, number),
            unlisted=max(0, blocks - min(lists, default=blocks)),
        )

    def _needs(self, tags: dict[int, _Entry], number: int) -> int:
        """Where the last stored block ends; 0 when the index does not say."""
        offsets, counts = tags.get(324, tags.get(273)), tags.get(325, tags.get(279))
        if offsets is None or counts is None:
            return 0
        ends = [
            np.frombuffer(self._raw(entry, number, entry[1]), self.order + _INTEGERS[entry[0]])
            for entry in (offsets, counts)
            if entry[0] in _INTEGERS
        ]
        if len(ends) != 2 or len(ends[0]) != len(ends[1]) or not len(ends[0]):
            return 0
        return int((ends[0].astype(float) + ends[1]).max())  # exact below 2^53, and cannot wrap

    def _text(self, entry: _Entry, number: int) -> str:
        raw = self._raw(entry, number, min(entry[1], _LONGEST_TEXT))
        return raw.split(b"\0")[0].decode("utf-8", "replace")

    def _values(self, entry: _Entry, number: int, most: int) -> tuple[int, ...]:
        kind, count, _ = entry
        if kind not in _INTEGERS:
            return ()
        count = min(count, most)
        return struct.unpack(
            f"{self.order}{count}{_INTEGERS[kind]}", self._raw(entry, number, count)
        )

    def _raw(self, entry: _Entry, number: int, count: int) -> bytes:
        kind, _, place = entry
        return self._bytes(place, count * self._item(kind), f"the index of page {number}")

    def _item(self, kind: int) -> int:
        if kind in _INTEGERS:
            return struct.calcsize("=" + _INTEGERS[kind])
        return _SIZES.get(kind, 0)

    def _one(self, code: str, raw: bytes) -> int:
        return int(struct.unpack_from(self.order + code, raw)[0])

    def _bytes(self, at: int, length: int, what: str) -> bytes:
        if at + length > self.size:
            raise SlideError(
                f"{self.path}: the file is {self.size:,} bytes; {what} needs {at + length:,}",
                hint=_FETCH,
            )
        self.file.seek(at)
        return self.file.read(length)
