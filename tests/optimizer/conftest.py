"""A small task and a pretend model for tests of the search."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbot.task import Task

ROOT = Path(__file__).parents[2]


@pytest.fixture
def orders() -> Task:
    """The demo's task."""
    return Task.load(ROOT / "examples" / "orders" / "task.yaml")
