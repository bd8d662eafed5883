"""Masks of a stored map against those that the prediction itself makes, and a plain enlargement."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.inference import _track
from kagglekit.inference._decide import Decision
from kagglekit.inference._runs import RunSink
from kagglekit.inference._stored import cut_map, enlarged


@pytest.fixture(autouse=True, scope="module")
def a_few_values_at_a_time():
    """Maps as small as these would be read at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_track, "VALUES_AT_ONCE", 1000)
        yield


@st.composite
def maps(draw):
    shape = draw(st.tuples(st.integers(1, 90), st.integers(1, 40)))
    scale = draw(st.sampled_from([1, 2, 3, 4]))
    planes = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    small = [-(-side // scale) for side in shape]
    return shape, scale, rng.integers(0, 256, (planes, *small), np.uint8)


@given(maps(), st.integers(0, 254), st.booleans())
def test_a_map_of_bytes_is_cut_between_them(case, k, exclusive):
    shape, scale, values = case
    planes = tuple(range(len(values)))
    cut = (k + 0.5) / 255
    [found] = cut_map(values, shape, scale, [Decision(planes, (cut,) * len(planes), exclusive)])
    big = F.interpolate(
        torch.from_numpy(values)[None].double(), scale_factor=scale, mode="bilinear"
    )[0, :, : shape[0], : shape[1]].numpy()
    winner = big.argmax(0)
    close = np.sort(big, axis=0)
    for plane, mask in enumerate(found):
        wanted = (big[plane] > k + 0.5) & (winner == plane if exclusive else True)
        unsure = abs(big[plane] - k - 0.5) < 1e-3 * (scale == 3)
        if exclusive and len(planes) > 1:
            unsure |= close[-1] - close[-2] < 1e-3 * (scale != 1)
        assert mask.shape == shape
        assert (mask.to_mask().astype(bool) == wanted)[~unsure].all()


@given(maps(), st.floats(0.05, 0.95))
def test_a_map_of_floats_gives_the_masks_of_the_prediction(case, cut):
    shape, scale, values = case
    prob = (values / 255).astype(np.float16)
    decide = Decision((0,), (cut,))
    sink = RunSink(shape, scale, 0, decide)
    sink.add(torch.from_numpy(prob.astype(np.float32)))
    other = Decision((0,), (0.5,))
    assert cut_map(prob, shape, scale, [other, decide])[1] == sink.finish()


@given(maps())
def test_enlarged_a_few_rows_at_a_time_as_torch_does_it_at_once(case):
    shape, scale, values = case
    parts = list(enlarged(values, shape, scale))
    tops = np.cumsum([0] + [part.shape[1] for _, part in parts])
    assert [top for top, _ in parts] == tops[:-1].tolist()
    found = torch.cat([part for _, part in parts], 1)
    big = F.interpolate(
        torch.from_numpy(values)[None].double(), scale_factor=scale, mode="bilinear"
    )[0, :, : shape[0], : shape[1]]
    assert found.shape == big.shape
    assert torch.allclose(found.double(), big, rtol=0, atol=1e-4)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_enlarged_it_is_no_more_at_a_time(scale):
    values = np.zeros((2, 400 // scale, 40 // scale), np.uint8)
    parts = [part for _, part in enlarged(values, (400, 40), scale)]
    assert len(parts) > 20
    # The last part has half a cell more, below the outermost centres.
    assert all(part.numel() <= 1000 + 2 * 40 * scale // 2 for part in parts)


def test_a_map_of_another_image():
    with pytest.raises(ValueError) as raised:
        cut_map(np.zeros((1, 4, 5), np.uint8), (8, 9), 4, [Decision((0,), (0.5,))])
    assert str(raised.value) == "a map of 4 x 5 pixels is not that of an image of 8 x 9 at scale 4"
