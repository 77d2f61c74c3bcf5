"""The sandboxes, each closed at the end. bubblewrap may be missing on a developer's machine, not where CI is set."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from flowbot.fields import UserError
from flowbot.runtime.sandbox.bubblewrap import BubblewrapSandbox
from flowbot.runtime.sandbox.monty import MontySandbox
from flowbot.runtime.sandbox.protocol import Sandbox


def sandbox_named(name: str) -> Sandbox:
    """The sandbox, or a skipped test."""
    if name == "monty":
        return MontySandbox()
    try:
        return BubblewrapSandbox.checked()
    except UserError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest_asyncio.fixture(params=["monty", "bubblewrap"])
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    made = sandbox_named(request.param)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def monty() -> AsyncIterator[Sandbox]:
    made = sandbox_named("monty")
    yield made
    await made.close()


@pytest.fixture
def bubblewrap() -> Sandbox:
    return sandbox_named("bubblewrap")
