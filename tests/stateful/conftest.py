"""A story that has not begun."""

import pytest

from tests.stateful.machine import Story
from tests.stateful.world import StatefulWorld


@pytest.fixture
def story():
    return Story(StatefulWorld())
