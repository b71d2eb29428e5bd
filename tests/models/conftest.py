import functools

import pytest

from tests.drawing import draw_variables as draw


@pytest.fixture(scope="session")
def draw_variables():
    """A function that draws all variables of a model."""
    return functools.partial(draw, train=False)
