"""Which draws make which step of the optimizer, on which device."""

from collections.abc import Iterator
from typing import NamedTuple

from torch.utils.data import Sampler

from kagglekit.tiles import Draw, TileSampler
from kagglekit.train._settings import Settings


class Step(NamedTuple):
    """What one device does for one step of the optimizer.

    Attributes:
        batches: its draws, batch by batch; at least one, so that all devices come together.
        tiles: draws of this step on all devices together.
        is_idle: its one batch only stands in for draws that there were not enough of.
    """

    batches: list[list[Draw]]
    tiles: int
    is_idle: bool = False


def plan(sampler: TileSampler, settings: Settings, rank: int = 0, world: int = 1) -> list[Step]:
    """Share out what is left of the sampler's epoch.

    Every draw is made once, whatever the number of devices; the last step takes what is left. The
    draws of a step are the same for one device of 2n tiles, two of n, or n accumulated twice.

    Args:
        sampler: at its epoch and start.
        settings: batch size and accumulation.
        rank: of this device.
        world: number of devices.
    """
    draws = list(sampler)
    size = settings.batch_size
    whole = size * settings.accumulate * world
    steps = []
    for at in range(0, len(draws), whole):
        drawn = draws[at : at + whole]
        mine = drawn[rank::world]
        shown = mine or drawn[:1]
        batches = [shown[i : i + size] for i in range(0, len(shown), size)]
        steps.append(Step(batches, len(drawn), not mine))
    return steps


class Batches(Sampler[list[Draw]]):
    """Hands the batches of the current steps to a DataLoader that is kept between epochs.

    Attributes:
        steps: what the next iteration yields.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def __iter__(self) -> Iterator[list[Draw]]:
        for step in self.steps:
            yield from step.batches

    def __len__(self) -> int:
        return sum(len(step.batches) for step in self.steps)
