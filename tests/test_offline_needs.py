from itertools import pairwise
from pathlib import Path

from packaging.requirements import Requirement

from kagglekit.offline import wheel
from kagglekit.offline.needs import Needs
from tests.wheels_factory import make_wheel, tiny_image


def needs_of(folder: Path, wanted: list[str], **requires: list[str]) -> Needs:
    wheels = [wheel.read(make_wheel(folder, name, requires=r)) for name, r in requires.items()]
    return Needs([Requirement(line) for line in wanted], wheels, tiny_image())


def test_dependencies_come_first(tmp_path: Path) -> None:
    needs = needs_of(tmp_path, ["a"], a=["b", "c"], b=["d"], c=["d"], d=[])
    assert [each.name for each in needs.in_order()] == ["d", "b", "c", "a"]


def test_a_chain_is_reversed(tmp_path: Path) -> None:
    chain = {f"p{i:02}": [f"p{i + 1:02}"] for i in range(20)} | {"p20": []}
    order = [each.name for each in needs_of(tmp_path, ["p00"], **chain).in_order()]
    assert all(first > then for first, then in pairwise(order))


def test_a_cycle_is_cut(tmp_path: Path) -> None:
    needs = needs_of(tmp_path, ["a"], a=["b"], b=["a"])
    assert sorted(each.name for each in needs.in_order()) == ["a", "b"]


def test_reasons(tmp_path: Path) -> None:
    needs = needs_of(tmp_path, ["a", "b"], a=["c"], b=["c"], c=[])
    assert needs.why("a") == "asked for"
    assert needs.why("c") == "needed by a, b"


def test_what_the_image_must_bring(tmp_path: Path) -> None:
    requires = [
        "there>=1",
        "opencv-contrib-python",
        'gone; python_version < "3.12"',
        'torch; extra == "gpu"',
    ]
    assert needs_of(tmp_path, ["a"], a=requires).expects() == {
        "opencv-contrib-python": "4.13.0.92",
        "there": "1.5",
    }
    assert needs_of(tmp_path, ["a[gpu]", "there"], a=requires).expects() == {
        "opencv-contrib-python": "4.13.0.92",
        "there": "1.5",
        "torch": "2.10.0",
    }
