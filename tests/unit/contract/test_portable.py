"""Whatever is raised in another process says the same here."""

import inspect
import pickle

import pytest

from faceserve import errors as of_serving
from include.contract import channel, photo

VALUES = {str: "a"}
ERRORS = sorted(
    {
        kind
        for module in (of_serving, channel, photo)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == module.__name__
    },
    key=str,
)


def made(kind):
    """With something for each parameter."""
    if "__init__" not in {name for one in kind.__mro__ if one.__module__ != "builtins" for name in vars(one)}:
        return kind("a")
    names = inspect.signature(kind.__init__, eval_str=True).parameters
    return kind(**{name: VALUES[one.annotation] for name, one in names.items() if name != "self"})


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_comes_out_of_another_process_as_it_was(kind):
    error = made(kind)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (kind, str(error))
    assert {name: str(value) for name, value in vars(again).items()} == {
        name: str(value) for name, value in vars(error).items()
    }


def test_those_of_more_than_a_text_are_among_them():
    assert {photo.BadPhotoAddress, channel.FaceserveError} <= set(ERRORS)
