import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.tiles import TileSampler
from kagglekit.train import Settings
from kagglekit.train._steps import Batches, plan


@given(
    st.integers(1, 60), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 59)
)
def test_every_draw_that_is_left_is_made_once(length, size, accumulate, world, start):
    sampler = TileSampler([np.arange(length)], [length], seed=1)
    sampler.start = min(start, length)
    settings = Settings(batch_size=size, accumulate=accumulate)
    ranks = [plan(sampler, settings, rank, world) for rank in range(world)]
    whole = size * accumulate * world
    assert [step.tiles for step in ranks[0]][:-1] == [whole] * (len(ranks[0]) - 1)
    made = []
    for at, steps in enumerate(zip(*ranks, strict=True)):
        drawn = [d for step in steps if not step.is_idle for batch in step.batches for d in batch]
        assert {step.tiles for step in steps} == {len(drawn)}, at
        assert all(1 <= len(batch) <= size for step in steps for batch in step.batches)
        assert all(1 <= len(step.batches) <= accumulate for step in steps)
        made.append(sorted(draw.sample for draw in drawn))
    assert [sample for step in made for sample in step] == list(range(sampler.start, length))


def test_one_device_draws_what_several_do_together():
    sampler = TileSampler([np.arange(11)], [11], seed=1)
    alone = plan(sampler, Settings(batch_size=4))
    pair = [plan(sampler, Settings(batch_size=2), rank, 2) for rank in (0, 1)]
    for one, *two in zip(alone, *pair, strict=True):
        shared = {draw for step in two for batch in step.batches for draw in batch}
        assert set(one.batches[0]) == shared


def test_batches_are_those_of_the_current_steps():
    sampler = TileSampler([np.arange(5)], [5])
    batches = Batches()
    assert len(batches) == 0
    batches.steps = plan(sampler, Settings(batch_size=2))
    assert len(batches) == 3
    assert [len(batch) for batch in batches] == [2, 2, 1]
