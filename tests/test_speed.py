"""NumPy and numba give the same result, and numba is only loaded when it pays."""

import sys

import numpy as np
import pytest

from kagglekit import regions, speed
from kagglekit.rle import RLE, RLEBuilder, RLEError, use_numba


@pytest.fixture(autouse=True)
def _choice_ends_with_the_test():
    yield
    use_numba(None)


def cases():
    rng = np.random.default_rng(5)
    for shape in [(1, 1), (1, 70), (70, 1), (9, 13), (64, 64), (65, 129), (33, 600)]:
        for share in (0, 0.02, 0.5, 0.98, 1):
            yield rng.random(shape) < share
    y, x = np.mgrid[:300, :500]
    yield (np.sin(x / 17) + np.cos(y / 23)) > 0.4
    yield (x // 7 + y // 5) % 2 == 0


def both(work):
    """Do the same with NumPy and with numba."""
    use_numba(False)
    plain = work()
    use_numba(True)
    return plain, work()


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16])
def test_encoding_is_the_same(order, dtype):
    for mask in cases():
        plain, fast = both(lambda mask=mask: RLE.from_mask(mask.astype(dtype), order))
        assert np.array_equal(plain.starts, fast.starts)
        assert np.array_equal(plain.lengths, fast.lengths)


def test_building_in_strips_is_the_same():
    def build(mask):
        builder = RLEBuilder(mask.shape)
        for row in mask:
            builder.push(row[np.newaxis])
        return builder.finish()

    for mask in cases():
        plain, fast = both(lambda mask=mask: build(mask))
        assert np.array_equal(plain.starts, fast.starts)


@pytest.mark.parametrize("order", ["F", "C"])
def test_decoding_is_the_same(order):
    for mask in cases():
        rle = RLE.from_mask(mask, order)
        for painted in both(rle.to_mask):
            assert np.array_equal(painted, mask)
            assert painted.flags.c_contiguous


def test_windows_are_the_same():
    rng = np.random.default_rng(6)
    for mask in cases():
        rle = RLE.from_mask(mask)
        for _ in range(5):
            (y0, y1), (x0, x1) = (np.sort(rng.choice(side + 1, 2, False)) for side in mask.shape)
            for painted in both(lambda rle=rle, box=(y0, y1, x0, x1): rle.window(*box)):
                assert np.array_equal(painted, mask[y0:y1, x0:x1])


def test_text_is_the_same():
    for mask in [*cases(), np.ones((40_000, 1), bool)]:
        rle = RLE.from_mask(mask)
        plain, fast = both(rle.to_text)
        assert plain == fast
        for back in both(lambda text=plain, shape=mask.shape: RLE.from_text(text, shape)):
            assert np.array_equal(back.starts, rle.starts)
            assert np.array_equal(back.lengths, rle.lengths)


@pytest.mark.parametrize(
    "text",
    [
        "1 3 10",
        "0 3",
        "24 5",
        "1 5 3 5",
        "1 0",
        "x 1",
        "1\t3",
        "1 -3",
        "5 99999999999999999999",
        "18446744073709551617 1",
        "1 1/",
        "",
        " ",
        "  1   2  ",
        "25 1",
        "1 25",
        "1 2 3 4",
    ],
)
def test_reading_bad_text_is_the_same(text):
    def read():
        try:
            return RLE.from_text(text, (5, 5)).to_text()
        except RLEError as error:
            return str(error)

    plain, fast = both(read)
    assert plain == fast


def test_shared_pixels_are_the_same():
    masks = list(cases())
    for mask in masks:
        other = np.roll(mask, 3) ^ (np.arange(mask.shape[1]) % 5 == 0)
        for dice in both(lambda a=mask, b=other: RLE.from_mask(a).dice(RLE.from_mask(b))):
            total = mask.sum() + other.sum()
            assert dice == (2 * (mask & other).sum() / total if total else 1.0)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_components_are_the_same(connectivity):
    for mask in cases():
        rle = RLE.from_mask(mask)
        plain, fast = both(lambda rle=rle: regions.label(rle, connectivity))
        assert np.array_equal(plain, fast)


def test_a_kernel_is_compiled_once_numpy_has_cost_as_much(monkeypatch):
    monkeypatch.setattr(speed, "_spent", {"write_pairs": 0.0})
    assert speed.compiled("write_pairs", 1.9e9) is None
    assert speed.compiled("write_pairs", 0.2e9) is not None


def test_what_is_expected_counts_as_done(monkeypatch):
    monkeypatch.setattr(speed, "_spent", {})
    assert speed.compiled("read_pairs", 1) is None
    speed.expect("read_pairs", 100)
    assert speed.compiled("read_pairs", 1) is None
    speed.expect("read_pairs", 1e10)
    assert speed.compiled("read_pairs", 1) is not None
    assert speed.compiled("write_pairs", 1) is None


def test_never_means_never(monkeypatch):
    monkeypatch.setattr(speed, "_spent", {"write_pairs": 1e12})
    use_numba(False)
    assert speed.compiled("write_pairs", 1e12) is None


def test_a_numba_that_does_not_load_is_done_without(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglekit.speed._kernels", None)
    monkeypatch.setattr(speed, "_spent", {"write_pairs": 1e12})
    monkeypatch.setattr(speed, "_is_refused", False)
    assert speed.compiled("write_pairs", 1) is None
    with monkeypatch.context() as patch:
        patch.setattr(speed, "import_module", None)  # it is not asked for a second time
        assert speed.compiled("write_pairs", 1) is None
    use_numba(True)
    with pytest.raises(ImportError):
        speed.compiled("write_pairs", 1)


def test_kernels_compile_also_where_the_result_cannot_be_kept():
    """As where the package and the user's cache are read-only: numba finds no folder for it."""
    kernels = pytest.importorskip("kagglekit.speed._kernels")
    scope: dict = {}
    exec("def double(x):\n    return 2 * x", scope)  # code without a file has no folder either
    with pytest.raises(RuntimeError, match="cannot cache"):
        kernels.njit(cache=True)(scope["double"])
    assert kernels._kernel(scope["double"])(21) == 42
