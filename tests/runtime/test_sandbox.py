from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from flowbot.fields import StepError
from flowbot.runtime.sandbox import MontySandbox


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[MontySandbox]:
    made = MontySandbox()
    yield made
    await made.close()


async def failure(sandbox: MontySandbox, code: str, **inputs: object) -> str:
    with pytest.raises(StepError) as caught:
        await sandbox.run(code, inputs, seconds=0.5, memory_mb=16)
    return str(caught.value)


async def test_calls_run_with_the_inputs_by_name_and_helpers_beside_it(sandbox: MontySandbox) -> None:
    helper = "import re\n\ndef double(x):\n    return 2 * x\n\n"
    code = helper + "def run(text, n):\n    return {'n': double(n), 'words': re.findall('[a-z]+', text)}"
    assert await sandbox.run(code, {"text": "ab 1 cd", "n": 4}) == {"n": 8, "words": ["ab", "cd"]}


async def test_gives_json_values_only(sandbox: MontySandbox) -> None:
    code = "def run():\n    return {'t': (1, 2.5), 's': {'b', 'a'}, 3: None}"
    assert await sandbox.run(code, {}) == {"t": [1, 2.5], "s": ["a", "b"], "3": None}


@pytest.mark.parametrize("value", ["b'x'", "float('nan')", "object()", "{(1, 2): 3}", "10 ** 5000"])
async def test_refuses_what_json_cannot_hold(sandbox: MontySandbox, value: str) -> None:
    assert await failure(sandbox, f"def run():\n    return {value}")


async def test_tells_the_python_error_with_its_line(sandbox: MontySandbox) -> None:
    told = await failure(sandbox, "def share(n):\n    return 1 / n\n\ndef run(n):\n    return share(n)", n=0)
    assert told == "ZeroDivisionError: division by zero (line 2: return 1 / n)"


async def test_tells_a_syntax_error_and_a_missing_run(sandbox: MontySandbox) -> None:
    assert "SyntaxError" in await failure(sandbox, "def run(:\n    return 1")
    assert "name 'run' is not defined" in await failure(sandbox, "x = 1")


async def test_ends_an_infinite_loop_even_one_that_catches_everything(sandbox: MontySandbox) -> None:
    body = "        try:\n            while True: pass\n        except BaseException:\n            pass"
    loop = f"def run():\n    while True:\n{body}"
    assert await failure(sandbox, loop) == "run: ran longer than 0.5 s"
    assert await sandbox.run("def run():\n    return 1", {}) == 1


async def test_ends_an_operation_that_cannot_be_interrupted(sandbox: MontySandbox) -> None:
    with pytest.raises(StepError, match=r"ran longer than 0\.5 s"):
        await sandbox.run("def run():\n    return len(str(7 ** (7 ** 9)))", {}, seconds=0.5, memory_mb=64)
    assert await sandbox.run("def run():\n    return 1", {}) == 1


@pytest.mark.parametrize(
    "bomb", ["'x' * 10 ** 10", "[0] * 10 ** 9", "[' ' * n for n in range(10 ** 6)]"], ids=["text", "list", "many"]
)
async def test_bounds_memory(sandbox: MontySandbox, bomb: str) -> None:
    assert "needed more than 16 MB" in await failure(sandbox, f"def run():\n    return {bomb}")


async def test_bounds_recursion(sandbox: MontySandbox) -> None:
    assert "RecursionError" in await failure(sandbox, "def run():\n    return run()")


async def test_bounds_the_result_also_one_that_is_small_until_it_unfolds(sandbox: MontySandbox) -> None:
    assert "larger than" in await failure(sandbox, "def run():\n    return ['x' * 1000] * 2000")
    assert "larger than" in await failure(
        sandbox, "def run():\n    a = [1]\n    for _ in range(35): a = [a, a]\n    return a"
    )
    assert "nested deeper" in await failure(
        sandbox, "def run():\n    a = []\n    for _ in range(10 ** 4): a = [a]\n    return a"
    )


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
    sandbox: MontySandbox, tmp_path: Path, module: str, attempt: str
) -> None:
    secret = tmp_path / "file.txt"
    secret.write_text("kept to ourselves")
    code = f"import {module}\ndef run():\n    return {attempt.format(path=str(secret))}"
    assert "kept to ourselves" not in await failure(sandbox, code)
    assert secret.read_text() == "kept to ourselves"


async def test_what_code_prints_is_not_shown(sandbox: MontySandbox, capfd: pytest.CaptureFixture[str]) -> None:
    assert await sandbox.run("def run():\n    print('hello')\n    return 1", {}) == 1
    assert await failure(sandbox, "def run():\n    while True: print('x' * 1000)")
    assert capfd.readouterr() == ("", "")


async def test_clock_and_random_numbers_stand_still(sandbox: MontySandbox) -> None:
    code = "import random, time\ndef run():\n    time.sleep(1000)\n    return [time.time(), random.random()]"
    assert await sandbox.run(code, {}) == await sandbox.run(code, {})


async def test_one_run_leaves_nothing_for_the_next(sandbox: MontySandbox) -> None:
    await sandbox.run("left = 1\ndef run():\n    return 1", {})
    assert "left" in await failure(sandbox, "def run():\n    return left")


async def test_hundreds_run_side_by_side(sandbox: MontySandbox) -> None:
    code = "def run(n):\n    return n * n"
    results = await asyncio.gather(*(sandbox.run(code, {"n": n}) for n in range(300)))
    assert results == [n * n for n in range(300)]


async def test_a_cancelled_run_ends_and_the_sandbox_goes_on(sandbox: MontySandbox) -> None:
    started = asyncio.create_task(sandbox.run("def run():\n    while True: pass", {}, seconds=60))
    assert await sandbox.run("def run():\n    return 1", {}) == 1
    started.cancel()
    with pytest.raises(asyncio.CancelledError):
        await started
    assert await sandbox.run("def run():\n    return 2", {}) == 2


async def test_closes_twice_and_opens_again() -> None:
    sandbox = MontySandbox()
    await sandbox.close()
    assert await sandbox.run("def run():\n    return 1", {}) == 1
    await sandbox.close()
    await sandbox.close()
    assert await sandbox.run("def run():\n    return 1", {}) == 1
    await sandbox.close()
