"""Work side by side that ends together when one part meets a fault."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from flowbot.fields import BudgetExceeded, InfrastructureError, Paused

T = TypeVar("T")

_ORDER: tuple[type[BaseException], ...] = (Paused, InfrastructureError, BudgetExceeded)


async def together(tasks: Sequence[asyncio.Task[T]]) -> list[T]:
    """The results in the order of `tasks`.

    When one raises, the others are cancelled and waited for, and the gravest error is raised. A model's or tool's call
    that a cancelled task was waiting for goes on until it is stored if it was sent, and is given up if it was not. What raises since no
    more calls are planned cancels none: what the others do until they end or raise, too, must not depend on time.
    """
    if not tasks:
        return []
    running = set(tasks)
    try:
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            if not all(map(_lets_go_on, done)):
                break
    finally:
        for task in tasks:
            task.cancel()  # does nothing to those that ended
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [each for each in ended if isinstance(each, BaseException)]
    if errors:
        raise _gravest(errors)
    return [each for each in ended if not isinstance(each, BaseException)]


async def all_of(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """As `together`, of what is not begun yet."""
    return await together([asyncio.create_task(each) for each in work])


def _lets_go_on(task: asyncio.Task[Any]) -> bool:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    return error is None or (isinstance(error, BudgetExceeded) and error.budget is None)


class Once(Generic[T]):
    """What is made once for each key, however many ask for it side by side; where making it fails the next one tries."""

    def __init__(self) -> None:
        self.made: dict[Hashable, T] = {}
        self._making: dict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `make` gave for the key."""
        async with self._making[key]:
            if key not in self.made:
                self.made[key] = await make()
            return self.made[key]


def _gravest(errors: Iterable[BaseException]) -> BaseException:
    """Of several errors at once: what somebody must mend first, then what pauses, then what ends the search; among
    equals the earliest by place, not by time. That a task was cancelled is only told when nothing else is."""

    def rank(error: BaseException) -> int:
        if isinstance(error, asyncio.CancelledError):
            return len(_ORDER)
        return next((index for index, kind in enumerate(_ORDER) if isinstance(error, kind)), -1)

    return min(errors, key=rank)
