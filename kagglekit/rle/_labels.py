"""Label images: many masks in one array of integers."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kagglekit.errors import RLEError
from kagglekit.rle._arrays import Mask, Order, check_shape
from kagglekit.rle._core import RLE, trusted
from kagglekit.rle._encode import check_rows, scan

_LABELS = np.iinfo(np.int32)


def from_labels(labels: Mask, order: Order = "F") -> dict[int, RLE]:
    """Make one RLE per label of a label image, in one pass over it.

    Args:
        labels: (height, width), integer; 0 is background.
        order: the order of the runs.

    Returns:
        The masks by label, labels ascending.

    Raises:
        RLEError: the labels are not a two-dimensional array of integers.

    Example:
        >>> import numpy as np
        >>> masks = from_labels(np.array([[7, 7, 0], [0, 2, 2]]))
        >>> {label: mask.to_text() for label, mask in masks.items()}
        {2: '4 1 6 1', 7: '1 1 3 1'}
    """
    check_rows(labels, "the label image")
    shape = (labels.shape[0], labels.shape[1])
    check_shape(shape, order)
    changes = scan(shape, order, inspect=lambda values: None)
    changes.push(labels)
    edges = changes.toggles().astype(np.int64)
    pixels = shape[0] * shape[1]
    starts = edges[: np.searchsorted(edges, pixels)]
    lengths = np.diff(starts, append=pixels)
    if order == "F":
        x, y = np.divmod(starts, shape[0])
    else:
        y, x = np.divmod(starts, shape[1])
    values = labels[y, x]
    by_label = np.argsort(values, kind="stable")
    by_label = by_label[values[by_label] != 0]
    cuts = np.flatnonzero(np.diff(values[by_label])) + 1
    parts = np.split(by_label, cuts) if len(by_label) else []
    return {int(values[p[0]]): trusted((starts[p], lengths[p]), shape, order) for p in parts}


def to_labels(masks: Mapping[int, RLE]) -> NDArray[np.int32]:
    """Paint masks into one label image, (height, width), int32, 0 where none is.

    Raises:
        RLEError: there is no mask, a label cannot be one, shapes differ, or masks overlap; the
            message says which.

    Example:
        >>> to_labels({3: RLE.from_text("2 2", shape=(2, 2))})
        array([[0, 3],
               [3, 0]], dtype=int32)
    """
    if not masks:
        raise RLEError("no masks: the shape of the label image is not known")
    shape = next(iter(masks.values())).shape
    labels = np.zeros(shape, np.int32)
    problems = []
    for label, mask in masks.items():
        if not _is_label(label):
            problems.append(f"label {label!r}: it is a whole number but 0, and of 32 bits")
            continue
        if mask.shape != shape:
            problems.append(f"label {label}: shape {mask.shape}, the first one has {shape}")
            continue
        box = mask.bbox
        if box is None:
            continue
        y0, y1, x0, x1 = box
        tile, inside = labels[y0:y1, x0:x1], mask.window(*box).astype(bool)
        taken = tile[inside]
        if taken.any():
            problems.append(
                f"label {label}: {np.count_nonzero(taken)} pixels belong to label "
                f"{int(taken[taken != 0][0])} already"
            )
        tile[inside] = label
    if problems:
        raise RLEError(f"{len(problems)} of {len(masks)} masks do not fit", problems=problems)
    return labels


def _is_label(label: Any) -> bool:
    if not isinstance(label, Integral):
        return False
    return int(label) != 0 and _LABELS.min <= int(label) <= _LABELS.max
