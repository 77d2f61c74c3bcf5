from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from containment import contain_all
from flowbot.runtime.sandbox import bubblewrap as bubblewrap_module
from flowbot.runtime.sandbox import process as process_module
from flowbot.runtime.sandbox.bubblewrap import BubblewrapSandbox
from flowbot.runtime.sandbox.protocol import Sandbox
from hostile import CONTAINED, PROGRAMS, Hostile

ALLOW_ALL = bytes.fromhex("06 00 00 00 00 00 ff 7f")  # a filter that refuses nothing
AT_ONCE = os.cpu_count() or 1


def named(*names: str) -> list[Hostile]:
    found = [each for each in PROGRAMS if each.name in names]
    assert len(found) == len(names)
    return found


async def breaches(sandbox: Sandbox, programs: list[Hostile]) -> dict[str, tuple[str, ...]]:
    verdicts, wrong = await contain_all(sandbox, programs, together=AT_ONCE)
    found = {f"{each.program.category}: {each.program.name}": each.breaches for each in verdicts if each.breaches}
    return {**found, **({"at the end": tuple(wrong)} if wrong else {})}


def test_the_hostile_programs_are_many_and_of_every_kind() -> None:
    assert len(PROGRAMS) >= 60
    assert {each.category for each in PROGRAMS} == set(CONTAINED)
    assert len({(each.category, each.name) for each in PROGRAMS}) == len(PROGRAMS)


async def test_every_hostile_program_is_contained(sandbox: Sandbox) -> None:
    assert await breaches(sandbox, PROGRAMS) == {}


async def test_a_sandbox_with_the_whole_disk_is_found_out(bubblewrap: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    command = bubblewrap_module._command

    def weak(*given: object) -> list[str]:
        options = command(*given)  # pyright: ignore[reportArgumentType]
        ends = options.index("--size")
        opened = (option for folder in ("/tmp", str(Path.home())) for option in ("--bind", folder, folder))
        return [*options[:ends], *opened, *options[ends + 4 :]]

    monkeypatch.setattr(bubblewrap_module, "_command", weak)
    tried = named("open", "list the folder", "walk home", "overwrite", "rename", "make unreadable")
    assert len(await breaches(bubblewrap, tried)) == len(tried)


async def test_a_sandbox_with_the_network_is_found_out(bubblewrap: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    command = bubblewrap_module._command

    def weak(*given: object) -> list[str]:
        options = command(*given)  # pyright: ignore[reportArgumentType]
        return [options[0], "--unshare-user", "--unshare-pid", "--unshare-uts", *options[3:]]

    monkeypatch.setattr(bubblewrap_module, "_command", weak)
    monkeypatch.setattr(bubblewrap_module, "system_call_filter", lambda _: ALLOW_ALL)
    tried = named("connect", "datagram", "abstract unix socket", "asyncio")
    assert len(await breaches(bubblewrap, tried)) == len(tried)


async def test_a_sandbox_without_the_filter_is_found_out(bubblewrap: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap_module, "system_call_filter", lambda _: ALLOW_ALL)
    tried = named("listen", "virtual machine's host", "files in memory", "shared segments")
    assert len(await breaches(bubblewrap, tried)) >= 3  # not every kernel has sockets to a virtual machine's host


async def test_a_sandbox_that_keeps_the_environment_is_found_out(
    bubblewrap: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = process_module.subprocess.Popen

    def weak(*given: object, **options: object) -> object:
        return started(*given, **{**options, "env": None})  # pyright: ignore[reportCallIssue, reportArgumentType]

    monkeypatch.setattr(process_module.subprocess, "Popen", weak)
    tried = [
        each for each in PROGRAMS if each.category == "credentials" and each.name in ("first process", "every process")
    ]
    assert len(await breaches(bubblewrap, tried)) == 2


async def test_a_sandbox_that_does_not_end_its_process_is_found_out(
    bubblewrap: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(process_module, "_end", lambda process, first: kept.append(process.pid))
    monkeypatch.setattr(process_module.subprocess.Popen, "__del__", lambda self: None)
    try:
        found = await breaches(BubblewrapSandbox(), named("plain"))
    finally:
        for pid in kept:
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(os.waitpid, pid, 0)
    assert "is left" in str(found["at the end"])
