"""What only the sandbox on bubblewrap has: how it opens, what lies inside, what it leaves."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from containment import left_since, processes
from flowbot.fields import InfrastructureError, StepError, UserError
from flowbot.runtime.jsonlike import to_json
from flowbot.runtime.sandbox.bubblewrap import BubblewrapSandbox
from flowbot.runtime.sandbox.chosen import open_sandbox
from flowbot.runtime.sandbox.monty import MontySandbox
from flowbot.runtime.sandbox.protocol import Sandbox
from flowbot.runtime.sandbox.seccomp import system_call_filter


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bwrap that is there and starts nothing."""
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def without_bwrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def without_monty(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: MontySandbox) -> str:
        raise UserError("code nodes", "no sandbox to run them in", "pydantic-monty, installed with pip")

    monkeypatch.setattr(MontySandbox, "identity", property(missing))


async def shown(sandbox: Sandbox, body: str) -> Any:
    return await sandbox.run(f"import os\ndef run():\n    return {body}", {})


def test_opens_monty_unless_another_is_asked_for() -> None:
    assert isinstance(open_sandbox(), MontySandbox)
    assert isinstance(open_sandbox("monty"), MontySandbox)
    with pytest.raises(UserError, match="found 'docker'; expected one of monty, bubblewrap"):
        open_sandbox("docker")


@pytest.mark.usefixtures("without_monty")
def test_opens_bubblewrap_where_monty_is_missing(bubblewrap: Sandbox) -> None:
    assert type(open_sandbox()) is type(bubblewrap)


@pytest.mark.usefixtures("without_monty", "without_bwrap")
def test_refuses_with_both_reasons_and_what_to_install() -> None:
    with pytest.raises(UserError) as caught:
        open_sandbox()
    for part in ("no sandbox to run them in", "no bwrap program", "pip", "apt-get install bubblewrap"):
        assert part in str(caught.value)


@pytest.mark.usefixtures("broken")
async def test_a_bwrap_that_may_not_start_is_refused_with_its_own_words() -> None:
    with pytest.raises(UserError, match="No permissions to create new namespace"):
        open_sandbox("bubblewrap")
    with pytest.raises(InfrastructureError, match="No permissions to create new namespace"):
        await BubblewrapSandbox().run("def run():\n    return 1", {})


@pytest.mark.usefixtures("without_bwrap")
async def test_a_missing_bwrap_is_the_users_to_mend() -> None:
    with pytest.raises(UserError, match="no bwrap program"):
        await BubblewrapSandbox().script("print(1)")
    with pytest.raises(UserError, match="no bwrap program"):
        _ = BubblewrapSandbox().identity


async def test_only_the_interpreter_and_an_empty_folder_are_inside(bubblewrap: Sandbox) -> None:
    assert set(await shown(bubblewrap, "os.listdir('/')")) <= {
        *("dev", "etc", "inside.py", "lib", "lib32", "lib64", "plain_json.py", "proc", "python", "tmp", "usr")
    }
    assert await shown(bubblewrap, "sorted(os.listdir('/dev'))") == ["null", "urandom"]
    assert set(await shown(bubblewrap, "os.listdir('/usr')")) <= {"lib", "lib32", "lib64"}
    assert await shown(bubblewrap, "[os.getcwd(), os.listdir('.')]") == ["/tmp", []]
    packages = "[d for p in os.sys.path if p.endswith(f'python3.{os.sys.version_info[1]}') for d in os.listdir(p + '/site-packages')]"
    assert await shown(bubblewrap, packages) == []


async def test_the_environment_and_the_open_files_are_its_own(
    bubblewrap: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "kept to ourselves")
    names = await shown(bubblewrap, "sorted(os.environ)")
    assert names == ["HOME", "LANG", "LD_LIBRARY_PATH", "PWD", "PYTHONHASHSEED"]
    links = "[os.readlink('/proc/self/fd/' + n) for n in os.listdir('/proc/self/fd') if os.path.lexists('/proc/self/fd/' + n)]"
    assert {each.partition(":")[0] for each in await shown(bubblewrap, links)} == {"/dev/null", "pipe"}


async def test_runs_a_file_of_its_own_and_forgets_it(bubblewrap: Sandbox) -> None:
    code = "import os\ndef run():\n    open('a', 'w').write('x')\n    return sorted(os.listdir('.'))"
    assert [await bubblewrap.run(code, {}), await bubblewrap.run(code, {})] == [["a"], ["a"]]


async def test_what_is_printed_is_not_the_result(bubblewrap: Sandbox) -> None:
    forged = json.dumps({"result": 2})
    assert await bubblewrap.run(f"def run():\n    print('ready')\n    print({forged!r})\n    return 1", {}) == 1


@pytest.mark.parametrize(
    "reply", ["", "{", "[" * 10**5, '{"result": NaN}', '{"error": 1}', "1" * 10**4, '{"result": "\\ud800"}']
)
async def test_a_forged_reply_is_the_codes_fault(bubblewrap: Sandbox, reply: str) -> None:
    code = f"import os, sys\ndef run():\n    for n in range(3, 64):\n        try: os.write(n, {reply!r}.encode() + b'\\n')\n        except OSError: pass\n    os._exit(0)"
    with pytest.raises(StepError):
        await bubblewrap.run(code, {})


async def test_inputs_may_be_large_and_of_any_text(bubblewrap: Sandbox) -> None:
    text = "ß😀\n\0" * 100_000
    assert await bubblewrap.run("def run(t):\n    return [len(t), t[:4]]", {"t": text}) == [len(text), text[:4]]


async def test_a_dataclass_becomes_an_object(bubblewrap: Sandbox) -> None:
    code = "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\ndef run():\n    return [P(1)]"
    assert await bubblewrap.run(code, {}) == [{"x": 1}]


async def test_no_process_is_left_whenever_a_run_is_cancelled(bubblewrap: Sandbox) -> None:
    before = processes()
    for turns in range(0, 60, 3):
        running = asyncio.create_task(bubblewrap.run("def run():\n    while True: pass", {}, seconds=60))
        for _ in range(turns):
            await asyncio.sleep(0.002)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await left_since(before) == []


async def test_descriptors_do_not_pile_up(bubblewrap: Sandbox) -> None:
    async def count() -> int:
        await bubblewrap.run("def run():\n    return 1", {})
        return len(os.listdir("/proc/self/fd"))

    assert await count() == await count()


async def test_more_runs_than_processors_wait_for_one_another(bubblewrap: Sandbox) -> None:
    runs = (bubblewrap.run("def run(n):\n    return n * n", {"n": n}) for n in range(12))
    assert await asyncio.gather(*runs) == [n * n for n in range(12)]


PAIR = "import dataclasses\n\n@dataclasses.dataclass\nclass Pair:\n    first: object\n    second: object\n\n"


@pytest.mark.parametrize(
    "value",
    [
        "[(1, 2.5, None, True), {'b', 'a'}, {3: {'é': 2 ** 1000}}]",
        "Pair(1, [Pair({2, 10}, 'x')])",
        "{'n': [1, b'x']}",
        "{'n': {True: 1}}",
        "float('inf')",
        "['x', '\\ud800']",
        "Pair(1, 2 ** 1024)",
        "Pair",
        "[[0] * 1000] * 1000",
        "functools.reduce(lambda held, _: [held], range(60), 1)",
    ],
)
async def test_values_become_json_inside_as_they_do_outside(value: str, bubblewrap: Sandbox, tmp_path: Path) -> None:
    code = f"import functools\n{PAIR}def run():\n    return {value}"
    (tmp_path / "code.py").write_text(code)
    found: list[object] = []
    for inside in (False, True):
        try:
            given = await bubblewrap.run(code, {}) if inside else to_json(run_path(str(tmp_path / "code.py"))["run"]())
        except StepError as error:
            given = str(error)
        found.append(given)
    assert found[0] == found[1]


def decided(program: bytes, architecture: int, number: int) -> int:
    """What a filter returns for a system call, run by the rules of classic BPF."""
    steps = list(struct.iter_unpack("=HBBI", program))
    loaded, at = 0, 0
    while True:
        operation, skip_if, skip_unless, value = steps[at]
        at += 1
        match operation:
            case 0x20:
                loaded = {0: number, 4: architecture}[value]
            case 0x15:
                at += skip_if if loaded == value else skip_unless
            case 0x35:
                at += skip_if if loaded >= value else skip_unless
            case _:
                return value


@pytest.mark.parametrize(
    ("machine", "architecture", "clone", "socket", "read"),
    [("x86_64", 0xC000003E, 56, 41, 0), ("aarch64", 0xC00000B7, 220, 198, 63)],
)
def test_the_filter_refusesprocesses_and_sockets(
    machine: str, architecture: int, clone: int, socket: int, read: int
) -> None:
    program = system_call_filter(machine)
    assert [decided(program, architecture, number) for number in (clone, 435, socket, read)] == [
        *([0x00050001] * 3),
        0x7FFF0000,
    ]
    assert decided(program, 0x40000003, read) == 0x80000000  # another architecture's numbers: ended at once
    if machine == "x86_64":
        assert decided(program, architecture, 0x40000000 | read) == 0x00050001
