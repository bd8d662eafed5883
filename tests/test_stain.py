import pickle

import numpy as np
import pytest

from kagglekit import stain
from kagglekit.stain._density import HED, to_density, to_pixels

STAINS = HED[:2] / np.linalg.norm(HED[:2], axis=1, keepdims=True)
OTHER = np.array([[0.55, 0.75, 0.37], [0.15, 0.90, 0.41]])
OTHER /= np.linalg.norm(OTHER, axis=1, keepdims=True)


def tissue(stains, seed=0, strength=(1.2, 0.9), size=150):
    """A picture of two stains: some pixels of one, some of the other, some of both."""
    rng = np.random.default_rng(seed)
    amounts = rng.uniform(0.1, 1, (size, size, 2)) * strength
    kind = rng.integers(0, 3, (size, size))
    amounts[kind == 0, 1] *= 0.02
    amounts[kind == 1, 0] *= 0.02
    density = amounts @ stains
    return np.rint(255 * np.exp(-density)).astype(np.uint8)


def degrees(a, b):
    return np.degrees(np.arccos(np.clip((np.asarray(a) * b).sum(axis=1), -1, 1)))


@pytest.mark.parametrize("method", ["macenko", "vahadane"])
@pytest.mark.parametrize("stains", [STAINS, OTHER])
def test_the_stains_that_a_picture_was_made_of_are_found(method, stains):
    look = stain.fit(tissue(stains), method)
    assert degrees(look.stains, stains).max() < 4
    assert np.allclose(np.linalg.norm(look.stains, axis=1), 1)


@pytest.mark.parametrize("method", ["macenko", "vahadane"])
def test_a_picture_in_other_stains_becomes_what_it_would_be_in_the_target_s(method):
    given, wanted = tissue(OTHER, strength=(0.8, 1.1)), tissue(STAINS)
    convert = stain.match(stain.fit(given, method), stain.fit(tissue(STAINS, seed=1), method))
    before = np.abs(given.astype(int) - wanted).mean()
    after = np.abs(convert(given).astype(int) - wanted).mean()
    assert after < before / 4


def test_reinhard_gives_mean_and_spread_of_the_target():
    given, target = tissue(OTHER), tissue(STAINS, seed=1)
    look = stain.fit(target, "reinhard")
    made = stain.fit(stain.match(stain.fit(given, "reinhard"), look)(given), "reinhard")
    assert np.allclose(made.mean, look.mean, atol=1)
    assert np.allclose(made.std, look.std, atol=1)


@pytest.mark.parametrize("method", ["reinhard", "colour"])
def test_greys_and_one_colour_make_no_noise(method):
    """What does not vary in the source but for rounding gets no more of it."""
    greys = np.repeat(np.arange(60, 200, dtype=np.uint8)[None, :, None], 3, 2).repeat(20, 0)
    target = stain.fit(tissue(STAINS), method)
    made = stain.match(stain.fit(greys, method), target)(greys)[0].astype(int)
    assert np.abs(np.diff(made, axis=0)).max() <= 5
    glass = np.full((20, 20, 3), 130, np.uint8)
    made = stain.match(stain.fit(glass, "reinhard"), stain.fit(tissue(STAINS), "reinhard"))(greys)
    assert np.abs(np.diff(made[0].astype(int), axis=0)).max() <= 5


def test_tissue_may_be_0_and_1_and_has_the_picture_s_shape():
    picture = tissue(STAINS)
    some = np.zeros(picture.shape[:2], np.uint8)
    some[:80] = 1
    for method in stain.METHODS:
        assert stain.fit(picture, method, some) == stain.fit(picture, method, some > 0)
    with pytest.raises(
        ValueError, match=r"^tissue is \(80, 80\) pixels and the picture \(150, 150\)$"
    ):
        stain.fit(picture, "reinhard", some[:80, :80])


def test_colour_transfer_gives_mean_and_covariance_of_the_target():
    rng = np.random.default_rng(0)
    mix = np.array([[12, 4, 2], [0, 9, 3], [0, 0, 6]])
    given = np.rint(rng.normal(size=(80, 80, 3)) @ mix + 120).astype(np.uint8)
    target = np.rint(rng.normal(size=(80, 80, 3)) @ mix.T[::-1] + (90, 130, 150)).astype(np.uint8)
    made = stain.match(stain.fit(given, "colour"), stain.fit(target, "colour"))(given)
    a, b = (np.asarray(x, float).reshape(-1, 3) for x in (made, target))
    assert np.allclose(a.mean(axis=0), b.mean(axis=0), atol=0.2)
    assert np.allclose(np.cov(a.T), np.cov(b.T), atol=2)


@pytest.mark.parametrize("method", stain.METHODS)
def test_windows_converted_one_by_one_are_the_whole_converted(method):
    given = tissue(OTHER)
    convert = stain.match(stain.fit(given, method), stain.fit(tissue(STAINS), method))
    convert = pickle.loads(pickle.dumps(convert))  # noqa: S301
    whole = convert(given)
    assert whole.dtype == np.uint8
    # A product of matrices of another size may round a half the other way.
    parts = np.concatenate([convert(given[:70]), convert(given[70:])])
    assert np.abs(parts.astype(int) - whole).max() <= 1


@pytest.mark.parametrize("method", stain.METHODS)
def test_a_picture_matched_to_itself_stays(method):
    given = tissue(STAINS)
    look = stain.fit(given, method)
    changed = np.abs(stain.match(look, look)(given).astype(int) - given)
    assert changed.mean() < 1.5


def test_only_what_counts_as_tissue_is_fitted():
    picture = np.full((200, 150, 3), 255, np.uint8)
    picture[:150] = tissue(STAINS)
    mask = np.zeros(picture.shape[:2], bool)
    mask[:150] = True
    assert stain.fit(picture, "colour", mask) == stain.fit(tissue(STAINS), "colour")


def test_perturbing_follows_the_numbers_given_and_leaves_white_alone():
    picture = tissue(STAINS)
    one, same, other = (
        stain.perturb(picture, 0.2, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.array_equal(stain.perturb(picture, 0, np.random.default_rng(1)), picture)
    white = np.full((4, 4, 3), 255, np.uint8)
    assert stain.perturb(white, 0.1, np.random.default_rng(1)).min() > 245


def test_density_and_back_is_exact():
    levels = np.arange(1, 256, dtype=np.uint8).reshape(-1, 1, 1).repeat(3, axis=2)
    assert np.array_equal(to_pixels(to_density(levels)), levels)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(
        ValueError,
        match=r"^method='otsu' must be one of 'reinhard', 'macenko', 'vahadane', 'colour'$",
    ):
        stain.fit(tissue(STAINS), "otsu")
    with pytest.raises(
        ValueError,
        match=r"^pixels of shape \(4, 4, 1\), uint16; stains are told apart in RGB only: expected \(h, w, 3\) uint8$",
    ):
        stain.fit(np.zeros((4, 4, 1), np.uint16))
    with pytest.raises(
        ValueError,
        match=r"^0 of 16 pixels are stained \(mean density above 0.15\); at least 100 are needed: fit to a part with tissue$",
    ):
        stain.fit(np.full((4, 4, 3), 250, np.uint8))
    with pytest.raises(ValueError, match=r"^no pixel counts as tissue: nothing to fit to$"):
        stain.fit(tissue(STAINS), "colour", np.zeros((150, 150), bool))
    with pytest.raises(
        ValueError,
        match=r"^a ColourLook cannot become a ReinhardLook: fit both with the same method$",
    ):
        stain.match(stain.fit(tissue(STAINS), "colour"), stain.fit(tissue(STAINS), "reinhard"))
