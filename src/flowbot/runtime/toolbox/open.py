"""Opens what a task declares, at the start of whatever runs it, and closes it at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowbot.fields import UserError
from flowbot.runtime.sandbox.chosen import ChosenSandbox
from flowbot.runtime.sandbox.protocol import Sandbox
from flowbot.store import default_cache_dir
from flowbot.task import (
    CalculatorSource,
    MCPSource,
    PythonSource,
    SearchSource,
    SQLSource,
    Task,
    Tool,
    ToolSource,
    tool_of,
)


@asynccontextmanager
async def opened_tools(
    tools: Iterable[Callable[..., Any] | Tool | ToolSource],
    *,
    sandbox: Sandbox | None = None,
    cache_dir: Path | str | None = None,
    say: Callable[[str], None] | None = None,
    pinned: bool = True,
) -> AsyncGenerator[dict[str, Tool]]:
    """All tools by name, ready to be called until the context ends: servers are started, indexes and files opened.

    May be left in another task than it was entered in.

    Args:
        tools: callables, tools and declared sources, in the order that they shall have.
        sandbox: where a Python interpreter runs its scripts; one of its own when None.
        cache_dir: where search indexes are kept; the user's cache folder when None.
        say: told news in a line, as of an index that is built.
        pinned: False for a workflow in use: a server may be replaced by a newer one that has the same tools.

    Raises:
        UserError: naming the declaration, for what cannot be opened, and for two tools of one name.
        InfrastructureError: if a server elsewhere cannot be reached.
    """
    found: dict[str, Tool] = {}
    async with AsyncExitStack() as stack:

        async def opened(each: Callable[..., Any] | Tool | ToolSource) -> list[Tool]:
            nonlocal sandbox
            match each:
                case MCPSource():
                    from .mcp import opened_server

                    return await stack.enter_async_context(opened_server(each, pinned=pinned))
                case SearchSource():
                    from .search import search_tool

                    cache = Path(cache_dir or default_cache_dir())
                    tool, close = await asyncio.to_thread(search_tool, each, cache, say or (lambda _: None))
                    stack.callback(close)
                case SQLSource():
                    from .sql import sql_tool

                    tool = await asyncio.to_thread(sql_tool, each)
                case PythonSource():
                    from .interpreter import interpreter

                    if sandbox is None:
                        sandbox = ChosenSandbox()
                        stack.push_async_callback(sandbox.close)
                    tool = interpreter(sandbox)
                case CalculatorSource():
                    from .calculator import calculator

                    tool = calculator()
                case _:
                    tool = tool_of(each)
            return [tool]

        for each in tools:
            for tool in await opened(each):
                name = tool.signature.name
                if name in found:
                    where = each.where if isinstance(each, ToolSource) else "tools"
                    raise UserError(
                        where, f"{name} twice", "each name once; `name:`, or `only: {THEIRS: OWN}`, gives another"
                    )
                found[name] = tool
        yield found


@asynccontextmanager
async def opened_task(
    task: Task,
    *,
    sandbox: Sandbox | None = None,
    cache_dir: Path | str | None = None,
    say: Callable[[str], None] | None = None,
) -> AsyncGenerator[Task]:
    """The task with its declared tools opened: `tools` has all of them and `sources` none. See `opened_tools`."""
    if not task.sources:
        yield task
        return
    async with opened_tools((*task.tools, *task.sources), sandbox=sandbox, cache_dir=cache_dir, say=say) as tools:
        yield replace(task, tools=tuple(tools.values()), sources=())
