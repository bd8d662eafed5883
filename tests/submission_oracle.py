"""Whether a competition accepts a submission: its rules read out loop by loop, shared with nobody.

- The header holds the competition's columns in order, every row as many cells; blank lines count
  for nothing, the order of rows neither.
- Each image (and class) that is there has one row, nobody else has any; an image's instances have
  a row each, or one that is empty.
- A mask is pairs of digits, start and length: start at least 1, length at least 1 (0 where nothing is
  written as a run of that length), sorted, without overlap, within the image. Nothing in an image is
  written in the competition's own way; where that is an empty cell, blanks are one too.
- Instances share no pixel.
- A prediction is `0 confidence mask`: a finite number, and base64 over zlib over COCO's counts, which
  sum to the image's pixels; the row gives the image's height and width.
"""

import base64
import csv
import io
import re
import zlib


def accepts(content: bytes, rules, shapes) -> bool:
    """Say whether a file is accepted.

    Args:
        content: of the file.
        rules: of the competition's submission.
        shapes: (height, width) of each test image, by id.
    """
    text = content.decode("utf-8").removeprefix("\ufeff")
    try:
        table = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        return False
    if not table or tuple(table[0]) != header(rules):
        return False
    if any(len(row) != len(table[0]) for row in table):
        return False
    rows = [dict(zip(table[0], row, strict=True)) for row in table[1:]]
    wanted = {}
    for image_id in shapes:
        for name in rules.classes if rules.rows == "classes" else [""]:
            key = rules.key.replace("{id}", image_id).replace("{class}", name)
            wanted[key, name if rules.class_column else ""] = image_id
    masks = {place: [] for place in wanted}
    for row in rows:
        place = (row[rules.id], row[rules.class_column] if rules.class_column else "")
        if place not in wanted:
            return False
        shape = shapes[wanted[place]]
        for column, side in zip(rules.size_columns or (), shape, strict=False):
            if not re.fullmatch("[0-9]+", row[column].strip()) or int(row[column]) != side:
                return False
        pixels = decode(row[rules.rle], shape, rules)
        if pixels is None:
            return False
        masks[place].append(pixels)
    if rules.rows == "instances" and rules.encoding == "runs":
        return all(fit_together(instances) for instances in masks.values())
    return all(len(found) == 1 for found in masks.values())


def header(rules):
    """The columns, in the order in which the competitions that have them write them."""
    names = [rules.id, rules.class_column, *(rules.size_columns or ()), rules.rle]
    return tuple(name for name in names if name)


def fit_together(instances) -> bool:
    if not instances or (len(instances) > 1 and not all(instances)):
        return False
    return len(set().union(*instances)) == sum(map(len, instances))


def decode(text, shape, rules):
    """Return the set of pixels in a cell (of all predictions, where they are that), None if refused."""
    if text == rules.empty:
        return set()
    words = text.split()
    if not words:
        return set() if rules.empty == "" else None
    if rules.encoding == "coco":
        return predictions(words, shape)
    if len(words) % 2 or not all(re.fullmatch("[0-9]+", word) for word in words):
        return None
    pixels, last_start, last_end = set(), 0, 0
    for start, length in zip(map(int, words[::2]), map(int, words[1::2]), strict=True):
        if start < 1 or start < last_start or length < (rules.empty != "1 0"):
            return None
        if length:
            if start <= last_end or start + length - 1 > shape[0] * shape[1]:
                return None
            last_end = start + length - 1
            pixels |= set(range(start, last_end + 1))
        last_start = start
    return pixels


def predictions(words, shape):
    if len(words) % 3:
        return None
    for name, confidence, mask in zip(words[::3], words[1::3], words[2::3], strict=True):
        if name != "0" or not re.fullmatch(
            r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", confidence
        ):
            return None
        try:
            letters = zlib.decompress(base64.b64decode(mask, validate=True)).decode("ascii")
        except (ValueError, zlib.error):
            return None
        counts = coco(letters)
        if counts is None or min(counts, default=0) < 0 or sum(counts) != shape[0] * shape[1]:
            return None
    return set()


def coco(letters):
    """Return COCO's counts: groups of five bits, the lowest first; differences from the fourth on."""
    counts, at = [], 0
    while at < len(letters):
        value, shift, more = 0, 0, True
        while more:
            if at == len(letters) or not 0 <= ord(letters[at]) - 48 < 64:
                return None
            group = ord(letters[at]) - 48
            value |= (group & 31) << shift
            shift, more, at = shift + 5, bool(group & 32), at + 1
        if group & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
