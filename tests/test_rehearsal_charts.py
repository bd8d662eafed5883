"""The memory curve, read back from its drawing."""

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.rehearsal.charts import memory_curve, ticks
from kagglekit.rehearsal.limits import Usage

CURVE = ((0.0, 100.0), (5.0, 400.0), (10.0, 200.0))


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter("text")]


def points(svg: str) -> list[list[float]]:
    line = re.search(r'<polyline [^>]*points="([^"]+)"', svg)
    assert line
    return [[float(number) for number in point.split(",")] for point in line[1].split()]


def test_the_curve_is_to_scale() -> None:
    svg = memory_curve(Usage(10.0, CURVE), math.inf)
    (x0, y0), (x1, y1), (x2, y2) = points(svg)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    lines = re.findall(r'class="grid" [^>]* y1="([\d.]+)"[^>]*/><text [^>]*>(\d+)<', svg)
    at = {int(mb): float(y) for y, mb in lines}  # where the axis says that so many MB are
    assert [y0, y1, y2] == pytest.approx([at[100], at[400], at[200]], abs=0.1)
    assert y1 < y2 < y0 < at[0]
    assert not [text for text in texts(svg) if "limit" in text]


def test_axes_are_labelled() -> None:
    seconds = texts(memory_curve(Usage(10.0, CURVE), math.inf))
    assert {"RAM, MB", "seconds", "0", "400", "10"} <= set(seconds)
    hours = texts(memory_curve(Usage(9000.0, ((0.0, 100.0), (9000.0, 3500.0))), math.inf))
    assert {"RAM, GB", "hours", "3", "2"} <= set(hours)


def test_a_near_limit_is_a_line_at_its_height_and_a_far_one_a_word() -> None:
    near = memory_curve(Usage(10.0, CURVE), 800e6)
    line = re.search(r'class="limit"[^>]* y1="([\d.]+)"', near)
    assert line
    _, (_, at_400), (_, at_200) = points(near)
    assert float(line[1]) == pytest.approx(at_400 - 2 * (at_200 - at_400), abs=0.3)
    assert "limit 800 MB" in texts(near)
    assert "limit 30 GB, 75 times the peak" in texts(memory_curve(Usage(10.0, CURVE), 30e9))


def test_cells_lie_where_they_ran() -> None:
    svg = memory_curve(Usage(10.0, CURVE), math.inf, [(1, 0.0, 5.0), (2, 5.0, None)])
    cells = re.findall(r'<rect [^>]*x="([\d.]+)"[^>]* width="([\d.]+)"', svg)
    (_, (middle, _), (end, _)) = points(svg)
    assert [float(x) + float(width) for x, width in cells] == pytest.approx([middle, end], abs=0.2)
    assert float(cells[1][0]) == pytest.approx(middle, abs=0.2)


def test_a_run_too_short_to_be_looked_at() -> None:
    assert memory_curve(Usage(0.1), 1e9) == ""


@given(st.floats(0.001, 1e9), st.integers(3, 9))
def test_ticks_are_round_few_and_inside(top: float, most: int) -> None:
    found = ticks(top, most)
    assert found[0] == 0
    assert 2 <= len(found) <= most + 1
    assert found[-1] <= top * (1 + 1e-6)
    assert f"{found[1]:e}"[0] in "125"
