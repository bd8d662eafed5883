import copy

import pytest
import torch

from kagglekit.errors import CheckpointError
from kagglekit.models import Model, Recipe, build, check_distinct, load_folds, save

TINY = Recipe("unet", {"width": 2, "depth": 2}, classes=2, window=64, stride=4)
HINT = "hint: build one model for each checkpoint, of folds that were trained apart"


def fold(seed, **changes):
    torch.manual_seed(seed)
    return build(Recipe(**(vars(TINY) | changes)))


@pytest.fixture
def paths(tmp_path):
    paths = [tmp_path / f"fold{seed}.safetensors" for seed in range(3)]
    for seed, path in enumerate(paths):
        save(fold(seed), path)
    return paths


def test_folds_come_in_order_each_with_its_own_weights(paths):
    models = load_folds(paths)
    for seed, model in enumerate(models):
        assert torch.equal(model.net.head.weight, fold(seed).net.head.weight)
        assert not model.training
    places = [{p.data_ptr() for p in model.parameters()} for model in models]
    assert len(set.union(*places)) == sum(map(len, places))


def test_an_ensemble_of_folds_is_not_copies_of_one(paths):
    x = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    models = load_folds(paths)
    with torch.inference_mode():
        mean = torch.stack([model(x) for model in models]).mean(0)
        for model in models:
            assert not torch.allclose(mean, model(x))


def test_a_fold_given_twice_or_copied_is_refused(paths):
    paths[2].write_bytes(paths[0].read_bytes())
    with pytest.raises(CheckpointError) as raised:
        load_folds([*paths, paths[1]])
    assert str(raised.value) == (
        "4 models do not make an ensemble\n"
        f"  - `{paths[0]}` and `{paths[2]}` hold the same weights\n"
        f"  - `{paths[1]}` and `{paths[1]}` hold the same weights\n" + HINT
    )


def test_another_threshold_does_not_make_another_fold(paths):
    save(fold(0), paths[1], threshold=0.3)
    with pytest.raises(CheckpointError, match="hold the same weights"):
        load_folds(paths)


def test_one_network_filled_again_and_again_is_refused():
    net = fold(0).net
    with pytest.raises(CheckpointError) as raised:
        check_distinct([Model(net, TINY), fold(1), Model(net, TINY)])
    assert str(raised.value) == (
        "3 models do not make an ensemble\n  - model 0 and model 2 share their memory\n" + HINT
    )


def test_a_shared_encoder_is_shared_memory():
    one, two = fold(0), fold(1)
    two.net.down = one.net.down
    with pytest.raises(CheckpointError, match="model 0 and model 1 share their memory"):
        check_distinct([one, two])


def test_a_copy_in_memory_is_refused():
    one = fold(0)
    with pytest.raises(CheckpointError, match="model 0 and model 1 hold the same weights"):
        check_distinct([one, copy.deepcopy(one)])


def test_another_number_of_planes_is_refused():
    with pytest.raises(CheckpointError) as raised:
        check_distinct([fold(0, classes=1), fold(1, classes=2)])
    assert raised.value.problems == ("model 0 has 1 planes, model 1 2",)


def test_planes_in_another_order_are_refused():
    names = [("cell", "rim"), ("rim", "cell"), ()]
    with pytest.raises(CheckpointError) as raised:
        check_distinct([fold(seed, class_names=n) for seed, n in enumerate(names)])
    assert raised.value.problems == ("model 0 has the planes cell, rim, model 1 rim, cell",)
