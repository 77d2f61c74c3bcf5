from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flowbot.fields import StepError
from flowbot.runtime.sandbox.protocol import Sandbox


@pytest.mark.parametrize(
    ("module", "attempt"),
    [
        ("json", "open({path!r}).read()"),
        ("json", "open({path!r}, 'w').write('x')"),
        ("os", "os.listdir('/')"),
        ("os", "os.environ['PATH']"),
        ("os", "os.system('true')"),
        ("socket", "socket.socket()"),
        ("subprocess", "subprocess.run(['true'])"),
        ("pathlib", "pathlib.Path({path!r}).read_text()"),
        ("sys", "sys.modules['os'].listdir('/')"),
        ("builtins", "builtins.open({path!r}).read()"),
    ],
)
async def test_reaches_neither_files_nor_environment_nor_network(
    monty: Sandbox, tmp_path: Path, module: str, attempt: str
) -> None:
    secret = tmp_path / "file.txt"
    secret.write_text("kept to ourselves")
    code = f"import {module}\ndef run():\n    return {attempt.format(path=str(secret))}"
    with pytest.raises(StepError) as caught:
        await monty.run(code, {})
    assert "kept to ourselves" not in str(caught.value)
    assert secret.read_text() == "kept to ourselves"


async def test_clock_and_random_numbers_stand_still(monty: Sandbox) -> None:
    code = "import random, time\ndef run():\n    time.sleep(1000)\n    return [time.time(), random.random()]"
    assert await monty.run(code, {}) == await monty.run(code, {})


async def test_hundreds_run_side_by_side(monty: Sandbox) -> None:
    code = "def run(n):\n    return n * n"
    results = await asyncio.gather(*(monty.run(code, {"n": n}) for n in range(300)))
    assert results == [n * n for n in range(300)]
