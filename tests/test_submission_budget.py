"""A Budget walks down its plans in time, by a clock that the tests turn."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.submission import Budget

HOUR = 3600.0


class Machine:
    """A clock and a memory that images use up: seconds per pixel and bytes per pixel of each plan."""

    def __init__(self, seconds, size=100, count=10, ram=None, warm_up=0.0, base=0):
        self.seconds, self.ram, self.base = seconds, ram or {}, base
        self.now, self.peak, self.warm_up = 0.0, base, warm_up
        self.pixels = {f"{number:03}": size for number in range(count)}
        self.said, self.done = [], []

    def budget(self, hours, plans, ram_gb=None):
        return Budget(
            hours,
            plans,
            ram_gb=ram_gb,
            say=self.said.append,
            clock=lambda: self.now,
            memory=self.take,
        )

    def take(self):
        peak, self.peak = self.peak, self.base
        return peak

    def run(self, budget):
        images = [(image_id, Path(image_id)) for image_id in self.pixels]
        for image_id, path, plan in budget.walk(iter(images), self.pixels):
            assert path == Path(image_id)
            size = self.pixels[image_id]
            self.now += self.seconds[plan] * size + self.warm_up
            self.warm_up = 0.0
            self.peak = self.base + self.ram.get(plan, 0) * size
            self.done.append((image_id, plan))
        return "".join(plan for _, plan in self.done)


def test_enough_time_and_what_is_said() -> None:
    machine = Machine({"d": 1.0}, count=10)
    assert machine.run(machine.budget(1, ["d", "f"])) == "d" * 10
    assert machine.said == [
        "2 images done, 8 to go: with d they take 0.22 h, 0.89 h are left",
        "10 images took 0.28 h; 1 h are enough for 34 like these",
    ]


def test_one_step_down_is_enough() -> None:
    machine = Machine({"d": 8.0, "f": 4.0, "n": 1.0}, count=10)
    assert machine.run(machine.budget(1.5, ["d", "f", "n"])) == "d" + "f" * 9
    assert machine.said == [
        "1 image done, 9 to go: with d they take 2.00 h, 1.20 h are left",
        "d would take 2.00 h, 1.20 h are left: from now on f",
        "10 images took 1.22 h; 1.5 h are enough for 11 like these",
    ]


def test_down_to_the_last_plan_and_then_images_are_left_out() -> None:
    machine = Machine({"d": 8.0, "f": 4.0, "n": 2.0}, count=10)
    assert machine.run(machine.budget(0.5, ["d", "f", "n"])) == "df" + "nn"
    assert machine.said[1:4] == [
        "d would take 2.00 h, 0.25 h are left: from now on f",
        "f would take 0.89 h, 0.14 h are left: from now on n",
        "`004` is left out: it needs 200 s of 110",
    ]
    assert len(machine.said) == 4 + 5 + 1
    assert machine.now <= 0.95 * 0.5 * HOUR


def test_a_cheaper_plan_is_tried_before_an_image_is_left_out() -> None:
    machine = Machine({"d": 1.0, "f": 0.1})
    machine.pixels = {"a": 10, "big": 1000, "c": 10}
    assert machine.run(machine.budget(500 / HOUR, ["d", "f"])) == "dff"
    assert machine.said[0] == "d needs 1000 s of 465 for `big`: from now on f"


def test_images_that_cannot_be_read_say_nothing() -> None:
    machine = Machine({"d": 1.0})
    machine.pixels = {"a": 0, "b": 0, "c": 0, "e": 1000, "f": 1000}
    assert machine.run(machine.budget(1, ["d"])) == "ddddd"
    assert machine.said[0].startswith("1 image done, 1 to go: with d they take ")
    machine = Machine({"d": 1.0, "f": 0.1}, warm_up=200.0)
    machine.pixels = {"bad": 0} | {str(number): 10 for number in range(40)}
    assert machine.run(machine.budget(1, ["d", "f"])) == "d" * 41


def test_smaller_images_still_fit_where_a_large_one_does_not() -> None:
    machine = Machine({"n": 1.0}, count=4)
    machine.pixels |= {"000": 1000, "001": 1000, "002": 2000, "003": 500}
    machine.run(machine.budget(1, ["n"]))
    assert machine.done == [("000", "n"), ("001", "n"), ("003", "n")]
    assert machine.said[-2] == "`002` is left out: it needs 2000 s of 1420"


def test_the_first_image_alone_says_nothing_when_it_is_quick() -> None:
    # 60 s of warming up would make 1,000 images take 19 hours.
    machine = Machine({"d": 0.1}, count=1000, warm_up=60.0)
    assert machine.run(machine.budget(9, ["d", "f"])) == "d" * 1000


def test_large_images_count_by_their_pixels() -> None:
    machine = Machine({"d": 1.0, "f": 0.5}, count=10)
    machine.pixels |= {"009": 5000}
    assert machine.run(machine.budget(1, ["d", "f"])) == "dd" + "f" * 8


def test_memory_for_a_larger_image_to_come() -> None:
    machine = Machine({"d": 0.1, "f": 0.1}, count=4, ram={"d": 2e7, "f": 1e6}, base=10**9)
    machine.pixels |= {"003": 1000}
    assert machine.run(machine.budget(9, ["d", "f"], ram_gb=16)) == "dfff"
    assert machine.said[0] == (
        "d would take 21.0 GB for an image of 0 megapixels, 16.0 GB are allowed: from now on f"
    )
    again = Machine({"d": 0.1}, count=4, ram={"d": 2e7})
    assert again.run(again.budget(9, ["d", "f"])) == "dddd", "nobody asked to watch it"


def test_plans_are_keywords_or_anything_else() -> None:
    def quickly() -> None: ...

    plans = [{"tta": "d4", "min_overlap": 64}, {}, quickly]
    said = []
    now = [0.0]
    budget = Budget(1, plans, say=said.append, clock=lambda: now[0], memory=lambda: None)
    used = []
    for _, _, plan in budget.walk([(i, Path(i)) for i in "abcd"], dict.fromkeys("abcd", 10)):
        used.append(plan)
        now[0] += 1000.0
    assert used == [plans[0], plans[1], plans[2]]
    assert said == [
        "1 image done, 3 to go: with tta='d4', min_overlap=64 they take 0.83 h, 0.67 h are left",
        "tta='d4', min_overlap=64 would take 0.83 h, 0.67 h are left: from now on no options",
        "no options would take 0.56 h, 0.39 h are left: from now on quickly",
        "`d` is left out: it needs 1000 s of 420",
        "3 images took 0.83 h; 1 h are enough for 3 like these",
    ]


@given(
    st.lists(st.integers(1, 2000), min_size=1, max_size=30),
    st.lists(st.floats(0.01, 20), min_size=1, max_size=4).map(
        lambda costs: sorted(costs, reverse=True)
    ),
    st.floats(0.05, 9),
)
def test_never_late_by_more_than_the_image_at_work(sizes, costs, hours) -> None:
    plans = "abcd"[: len(costs)]
    machine = Machine(dict(zip(plans, costs, strict=True)))
    machine.pixels = {f"{number:03}": size for number, size in enumerate(sizes)}
    used = machine.run(machine.budget(hours, list(plans)))
    assert used == "".join(sorted(used)), "down, never up"
    # A plan that was never tried may overrun by its first image; nothing is begun after the time is up.
    last = machine.seconds[used[-1]] * machine.pixels[machine.done[-1][0]]
    first_of_plan = used.count(used[-1]) == 1
    assert machine.now <= 0.95 * hours * HOUR * (1 + 1e-9) + last * first_of_plan
    # Where the best plan would have been in time for all, it was used for all.
    if costs[0] * sum(sizes) <= 0.95 * hours * HOUR * (1 - 1e-9):
        assert used == "a" * len(sizes)


def test_what_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^a Budget needs at least one plan, e\.g\. \[{'tta': 'flips'}\]$"
    ):
        Budget(9, [])
    with pytest.raises(ValueError, match=r"^hours=0 and ram_gb=None: expected numbers above 0$"):
        Budget(0, ["d"])
    with pytest.raises(ValueError, match=r"^hours=9 and ram_gb=-1: expected numbers above 0$"):
        Budget(9, ["d"], ram_gb=-1)
