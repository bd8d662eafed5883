"""What ranks tell each other; several of them are in test_inference_ranks.py."""

import pickle

import pytest

from kagglekit.errors import SlideError
from kagglekit.inference._exchange import _portable, all_of, gathered, of_first, together


def test_alone_everything_is_one_s_own():
    assert together(lambda: 3, 1) == 3
    assert all_of("a", 1) == gathered("a", 1) == ["a"]
    assert of_first("a", 1) == "a"


def test_alone_an_error_is_one_s_own():
    problem = SlideError("a.tiff: cannot be read", hint="fetch it again")

    def fails():
        raise problem

    with pytest.raises(SlideError) as raised:
        together(fails, 1)
    assert raised.value is problem
    assert not hasattr(problem, "__notes__")


class StubbornError(Exception):
    def __init__(self, text, more):
        super().__init__(f"{text}{more}")


@pytest.mark.parametrize(
    "error",
    [
        None,
        ValueError("batch_size=0"),
        SlideError("a.tiff: cannot be read", problems=["row 3"], hint="fetch it again"),
        OSError(28, "No space left on device"),
    ],
)
def test_errors_travel_as_they_are(error):
    told = pickle.loads(pickle.dumps(_portable(error)))  # noqa: S301  its own bytes
    assert type(told) is type(error)
    assert str(told) == str(error)
    assert getattr(told, "hint", "") == getattr(error, "hint", "")


def test_an_error_that_cannot_travel_sends_its_text():
    told = _portable(StubbornError("no more ", "memory"))
    assert type(told) is RuntimeError
    assert str(told) == "StubbornError: no more memory"
