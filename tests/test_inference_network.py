import itertools
import warnings
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from kagglekit.inference import _network
from kagglekit.inference._network import Network, channels_last
from kagglekit.models import Model, Recipe
from kagglekit.tta import views

PIXELS = torch.randint(
    0, 256, (5, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def small_model(seed, planes=2):
    """A convolution that no flip leaves as it is."""
    torch.manual_seed(seed)
    return Model(nn.Conv2d(3, planes, 3, padding=1), Recipe(classes=planes)).eval()


def network_of(models, weights=None, tta="none", mean="prob", batch_size=8, compile=False):
    weights = weights or [1.0] * len(models)
    return Network(models, weights, views(tta), mean, True, batch_size, compile)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def float_of(x):
    return x


def logits_of(model, turn, back):
    """Return a model's logits of turned images, turned back, in plain NumPy around the model."""
    images = np.ascontiguousarray(turn(PIXELS.numpy()))
    with torch.no_grad():
        return back(model(torch.from_numpy(images)).double().numpy())


NOTHING = (lambda a: a, lambda a: a)
LEFT_RIGHT = (lambda a: a[..., ::-1],) * 2
UPSIDE_DOWN = (lambda a: a[..., ::-1, :],) * 2
HALF_TURN = (lambda a: np.rot90(a, 2, (2, 3)),) * 2
FLIPS = [NOTHING, LEFT_RIGHT, UPSIDE_DOWN, HALF_TURN]
QUARTERS = [(lambda a: np.rot90(a, 1, (2, 3)), lambda a: np.rot90(a, -1, (2, 3))),
            (lambda a: np.rot90(a, -1, (2, 3)), lambda a: np.rot90(a, 1, (2, 3))),
            (lambda a: a.swapaxes(2, 3),) * 2,
            (lambda a: np.rot90(a.swapaxes(2, 3), 2, (2, 3)),) * 2]  # fmt: skip
TURNS = {"none": [NOTHING], "flips": FLIPS, "d4": FLIPS + QUARTERS}


@pytest.mark.parametrize("tta", TURNS)
@pytest.mark.parametrize("mean", ["prob", "logit", "geometric"])
@pytest.mark.parametrize("weights", [[1.0], [1.0, 1.0], [3.0, 0.5, 1.5]])
def test_equals_the_weighted_mean_over_models_and_views(tta, mean, weights):
    models = [small_model(seed) for seed in range(len(weights))]
    total = 0.0
    for (model, weight), (turn, back) in itertools.product(
        zip(models, weights, strict=True), TURNS[tta]
    ):
        value = logits_of(model, turn, back)
        value = {"prob": sigmoid, "logit": float_of, "geometric": lambda x: np.log(sigmoid(x))}[
            mean
        ](value)
        total += value * weight
    total /= sum(weights) * len(TURNS[tta])
    wanted = {"prob": float_of, "logit": sigmoid, "geometric": np.exp}[mean](total)
    found = network_of(models, weights, tta, mean).prob(PIXELS)
    assert found.dtype == torch.float32
    assert np.allclose(found.numpy(), wanted, rtol=0, atol=2e-6)


def test_the_geometric_mean_of_one_is_itself_to_the_last_bit():
    model = small_model(3)
    with torch.inference_mode():
        assert torch.equal(
            network_of([model], mean="geometric").prob(PIXELS), model(PIXELS).sigmoid()
        )


@pytest.mark.parametrize("mean", ["prob", "logit", "geometric"])
def test_may_be_changed_without_changing_the_models_answer(mean):
    """Blending works in place, on what the network returned."""
    kept = torch.zeros(5, 1, 16, 24)

    class Remembers(nn.Module):
        def forward(self, x):
            return kept

    network = network_of([Model(Remembers(), Recipe()).eval()], mean=mean)
    with torch.inference_mode():
        network.prob(PIXELS).mul_(7)
    assert not kept.any()


def test_keeps_no_gradient_and_no_graph():
    found = network_of([small_model(0)]).prob(PIXELS)
    assert not found.requires_grad
    assert found.is_inference()


class Hungry(nn.Module):
    """Runs out of memory above a number of windows; notes how many it saw."""

    def __init__(self, most, error=None):
        super().__init__()
        self.most, self.seen = most, []
        self.error = error or torch.OutOfMemoryError("out of memory")
        self.net = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x):
        self.seen.append(len(x))
        if len(x) > self.most:
            raise self.error
        return self.net(x)


def test_too_many_windows_are_halved_and_the_result_is_the_same(monkeypatch):
    emptied = []
    monkeypatch.setattr(_network, "_empty_cache", emptied.append)
    torch.manual_seed(0)
    net = Hungry(most=1)
    network = network_of([Model(net, Recipe(classes=2)).eval()], batch_size=5)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = network.prob(PIXELS)
    assert net.seen == [5, 2, 1, 1, 1, 1, 1]
    assert [str(warning.message) for warning in told] == [
        "5 windows at once do not fit into the device's memory: going on with 2",
        "2 windows at once do not fit into the device's memory: going on with 1",
    ]
    assert network.batch_size == 1
    assert emptied == [PIXELS.device] * 2
    net.most = 5
    whole = network_of([Model(net, Recipe(classes=2)).eval()]).prob(PIXELS)
    assert torch.allclose(found, whole, rtol=0, atol=1e-6)


def test_a_batch_that_is_filled_up_is_halved_too(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    torch.manual_seed(0)
    net = Hungry(most=2)
    network = network_of([Model(net, Recipe(classes=2)).eval()], batch_size=4, compile=True)
    with pytest.warns(UserWarning, match="^4 windows at once do not fit"):
        found = network.prob(PIXELS[:1])
    assert net.seen == [4, 2]
    whole = network_of([Model(net, Recipe(classes=2)).eval()]).prob(PIXELS[:1])
    assert torch.allclose(found, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("count", [4, 1])
def test_a_gpu_sees_no_batch_as_made_for_inference(count, monkeypatch):
    """Those of the thread that sends batches are not, and a network is compiled for each kind."""
    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    monkeypatch.setattr(_network, "_is_cuda", lambda device: True)
    model, seen = small_model(0), []
    model.register_forward_pre_hook(lambda model, given: seen.append(given[0].is_inference()))
    network = Network([model], [1.0], views("none"), "prob", False, 4, True)
    images = PIXELS[:count].contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        network.prob(images)
    assert seen == [False]


def test_half_of_the_views_done_when_memory_ends_count_for_nothing():
    class LateHungry(Hungry):
        def forward(self, x):
            self.most = 5 if len(self.seen) != 2 else 2  # once, at the third view
            return super().forward(x)

    torch.manual_seed(0)
    net = LateHungry(most=5)
    network = network_of([Model(net, Recipe(classes=2)).eval()], tta="flips", batch_size=5)
    with pytest.warns(UserWarning, match="^5 windows at once do not fit"):
        found = network.prob(PIXELS)
    whole = network_of([Model(net, Recipe(classes=2)).eval()], tta="flips").prob(PIXELS)
    assert torch.allclose(found, whole, rtol=0, atol=1e-6)


def test_the_smaller_batch_stays_for_what_comes_next():
    net = Hungry(most=2)
    network = network_of([Model(net, Recipe(classes=2)).eval()], batch_size=5)
    with pytest.warns(UserWarning, match="going on with 2"):
        network.prob(PIXELS)
    net.seen = []
    network.prob(PIXELS)
    assert net.seen == [2, 2, 1]


def test_a_single_window_that_does_not_fit_is_an_error():
    error = torch.OutOfMemoryError("out of memory")
    network = network_of([Model(Hungry(0, error), Recipe(classes=2)).eval()], batch_size=2)
    with (
        pytest.warns(UserWarning, match="going on with 1"),
        pytest.raises(torch.OutOfMemoryError) as caught,
    ):
        network.prob(PIXELS)
    assert caught.value is error
    assert error.__notes__ == [
        "A single window of 16 x 24 does not fit into the device's memory: choose a smaller one, "
        "or free what else lies there."
    ]


def memory_of_this_machine():
    """What torch really says when the CPU's memory ends."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    return str(caught.value)


@pytest.mark.parametrize(
    "message",
    [
        "MPS backend out of memory (MPS allocated: 18.50 GiB, max allowed: 18.72 GiB).",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "GET was unable to find an engine to execute this computation",
        "XPU out of memory. Tried to allocate 2.00 GiB",
        "[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
        memory_of_this_machine(),
    ],
)
def test_memory_that_ends_without_a_type_of_its_own_is_known_by_its_words(message):
    net = Hungry(2, RuntimeError(message))
    network = network_of([Model(net, Recipe(classes=2)).eval()], batch_size=5)
    with pytest.warns(UserWarning, match="^5 windows at once do not fit into the device's memory"):
        network.prob(PIXELS)
    assert net.seen == [5, 2, 2, 1]


def test_another_error_of_a_network_is_left_alone():
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    net = Hungry(2, error)
    with pytest.raises(RuntimeError) as caught:
        network_of([Model(net, Recipe(classes=2)).eval()], batch_size=5).prob(PIXELS)
    assert caught.value is error
    assert not hasattr(error, "__notes__")
    assert net.seen == [5]


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_what_the_device_keeps_is_given_back_before_the_next_attempt(kind, monkeypatch):
    emptied = []
    for other in ("cuda", "mps", "xpu"):
        monkeypatch.setattr(f"torch.{other}.empty_cache", lambda other=other: emptied.append(other))
    _network._empty_cache(torch.device(kind))
    _network._empty_cache(torch.device("cpu"))
    assert emptied == [kind]


def test_nothing_of_a_failed_attempt_is_kept_while_going_on():
    class Watching(Hungry):
        failed, alive = None, None

        def forward(self, x):
            if len(x) > self.most:
                big = torch.zeros(5, 777)  # as activations of the layers before would be
                Watching.failed = weakref.ref(big)
                raise torch.OutOfMemoryError(f"no room beside {len(big)}")
            Watching.alive = Watching.failed() is not None
            return super().forward(x)

    network = network_of([Model(Watching(most=4), Recipe(classes=2)).eval()], batch_size=5)
    with pytest.warns(UserWarning, match="going on with 2"):
        network.prob(PIXELS)
    assert Watching.alive is False


class Volume(nn.Module):
    """Sees the channels as the slices of a volume."""

    def __init__(self):
        super().__init__()
        self.deep, self.flat = nn.Conv3d(1, 2, 3, padding=1), nn.Conv2d(6, 2, 3, padding=1)

    def forward(self, x):
        return self.flat(self.deep(x[:, None]).flatten(1, 2))


def test_weights_over_two_dimensions_are_laid_out_as_pixels_lie_and_others_left_alone():
    torch.manual_seed(0)
    model = Model(Volume(), Recipe(classes=2)).eval()
    net, before = model.net, network_of([model]).prob(PIXELS)
    with channels_last([model]):
        assert net.flat.weight.is_contiguous(memory_format=torch.channels_last)
        assert not net.flat.weight.is_contiguous()
        assert net.deep.weight.is_contiguous()
        assert torch.allclose(network_of([model]).prob(PIXELS), before, rtol=0, atol=1e-6)
    assert net.flat.weight.is_contiguous()


@pytest.mark.slow  # importing the compiler takes longer than all of the above
def test_compiled_models_give_the_same(monkeypatch):
    asked, compile = [], torch.compile

    def noting(model, **options):
        asked.append(options)
        return compile(model, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", noting)
    models = [small_model(0), small_model(1)]
    plain = network_of(models).prob(PIXELS)
    assert asked == []
    compiled = network_of(models, compile=True).prob(PIXELS)
    assert asked == [{"dynamic": False}] * 2
    assert torch.allclose(compiled, plain, rtol=0, atol=1e-6)


@pytest.fixture
def graphs(monkeypatch):
    """The shapes of what each graph takes, as networks are compiled."""
    graphs, compile = [], torch.compile

    def counting(graph, inputs):
        graphs.append([each.shape for each in inputs])
        return graph.forward

    def compiled(model, **options):
        return compile(model, backend=counting, **options)

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", compiled)
    return graphs


@pytest.mark.slow
def test_a_network_is_compiled_for_one_size_of_batch(graphs):
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    network = network_of([small_model(0)], batch_size=4, compile=True)
    plain = network_of([small_model(0)], batch_size=4)
    for count in (4, 3, 1):
        answer = network.prob(images[:count])
        assert torch.allclose(answer, plain.prob(images[:count]), rtol=0, atol=1e-6)
    assert len(graphs) == 1


@pytest.mark.slow
def test_a_network_is_compiled_for_one_layout(graphs):
    network = network_of([small_model(0)], tta="d4", compile=True)
    with torch.inference_mode():
        square = PIXELS[:, :, :16, :16].contiguous(memory_format=torch.channels_last)
        network.prob(square)
        network.prob(square)
    assert len(graphs) == 1


def test_a_training_does_not_notice_that_its_model_predicts():
    """An optimizer's averages lie as the weights did when it began, and fused ones go by that."""
    weights = {}
    for predicting in (False, True):
        torch.manual_seed(0)
        model = Model(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 1, 3)), Recipe())
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        for _ in range(4):
            model(PIXELS).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            if predicting:
                # The same one twice, as in an ensemble that somebody weighs.
                with torch.inference_mode(), channels_last([model, model]):
                    assert not model.net[1].weight.is_contiguous()
                    model(PIXELS)
        weights[predicting] = model.net[1].weight.detach()
    assert weights[True].is_contiguous()
    assert torch.equal(weights[True], weights[False])


def test_an_error_leaves_weights_as_they_were(monkeypatch):
    model = small_model(0)
    before = model.net.weight.data_ptr()
    with pytest.raises(ZeroDivisionError), channels_last([model]):
        1 / (model.net.weight.data_ptr() == before)
    assert model.net.weight.data_ptr() == before

    def full(tensor, contiguous=torch.Tensor.contiguous, **layout):
        if len(tensor) == 7:
            raise torch.OutOfMemoryError("no room for the second one's")
        return contiguous(tensor, **layout)

    monkeypatch.setattr(torch.Tensor, "contiguous", full)
    with pytest.raises(torch.OutOfMemoryError), channels_last([model, small_model(1, planes=7)]):
        pass
    assert model.net.weight.data_ptr() == before


@pytest.mark.parametrize("answer", [(2, 1, 8, 8), (2, 3, 4, 4), (2, 8, 8), (1, 3, 8, 8)])
def test_an_answer_of_another_shape_than_the_recipe_says_is_refused(answer):
    class Answers(nn.Module):
        def forward(self, x):
            return torch.zeros(answer)

    one = Model(Answers(), Recipe(classes=3)).eval()
    network = Network([one], [1.0], views("none"), "prob", False, 2, False)
    with pytest.raises(ValueError) as raised:
        network.prob(torch.zeros(2, 3, 8, 8))
    assert str(raised.value) == (
        f"a network answered {answer} to images of (2, 3, 8, 8); "
        "by its recipe it should be (2, 3, 8, 8): (N, classes, H, W)"
    )


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
@pytest.mark.parametrize("mean", ["prob", "logit", "geometric"])
def test_a_logit_that_is_no_number_shows(value, mean):
    """An infinite one would be a probability of 0 or 1 like others."""

    class Odd(nn.Module):
        def forward(self, x):
            logits = x[:, :1].clone()
            logits[-1, 0, -1, -1] = value
            return logits

    odd = Model(Odd(), Recipe()).eval()
    sound = Model(nn.Conv2d(3, 1, 1), Recipe()).eval()
    assert network_of([odd, sound], tta="flips", mean=mean).prob(PIXELS).isnan().any()
    assert network_of([sound], tta="flips", mean=mean).prob(PIXELS).isfinite().all()
