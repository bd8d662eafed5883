"""Connected components of masks: their sizes, boxes and holes, on runs.

Pixels are never visited: two runs on neighbouring lines are connected if they overlap, so
components are found among the runs, and a slide of 120 million pixels takes milliseconds.

Areas are in pixels, or in µm² where `um_per_pixel`, the side of a pixel, is given. Components
are ordered by their first pixel in the mask's order.
"""

from kagglekit.regions._filters import drop_small, fill_holes, keep_largest, keep_seeded
from kagglekit.regions._measure import areas, bboxes, components, label
from kagglekit.regions._split import split_instances

__all__ = [
    "areas",
    "bboxes",
    "components",
    "drop_small",
    "fill_holes",
    "keep_largest",
    "keep_seeded",
    "label",
    "split_instances",
]
