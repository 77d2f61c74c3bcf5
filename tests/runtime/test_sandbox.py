from __future__ import annotations

import asyncio

import pytest
from sandbox_programs import HONEST

from flowbot.fields import StepError
from flowbot.runtime.sandbox.protocol import PRINTED_BYTES, Sandbox


async def failure(sandbox: Sandbox, code: str, *, within: float = 10.0, **inputs: object) -> str:
    with pytest.raises(StepError) as caught:
        await sandbox.run(code, inputs, seconds=within, memory_mb=16)
    return str(caught.value)


async def test_calls_run_with_the_inputs_by_name_and_helpers_beside_it(sandbox: Sandbox) -> None:
    helper = "import re\n\ndef double(x):\n    return 2 * x\n\n"
    code = helper + "def run(text, n):\n    return {'n': double(n), 'words': re.findall('[a-z]+', text)}"
    assert await sandbox.run(code, {"text": "ab 1 cd", "n": 4}) == {"n": 8, "words": ["ab", "cd"]}


async def test_gives_json_values_only(sandbox: Sandbox) -> None:
    code = "def run():\n    return {'t': (1, 2.5), 's': {'b', 'a'}, 3: None}"
    assert await sandbox.run(code, {}) == {"t": [1, 2.5], "s": ["a", "b"], "3": None}


@pytest.mark.parametrize("value", ["b'x'", "float('nan')", "object()", "{(1, 2): 3}", "10 ** 5000"])
async def test_refuses_what_json_cannot_hold(sandbox: Sandbox, value: str) -> None:
    assert await failure(sandbox, f"def run():\n    return {value}")


async def test_tells_the_python_error_with_its_line(sandbox: Sandbox) -> None:
    told = await failure(sandbox, "def share(n):\n    return 1 / n\n\ndef run(n):\n    return share(n)", n=0)
    assert told == "ZeroDivisionError: division by zero (line 2: return 1 / n)"


async def test_tells_a_syntax_error_and_a_missing_run(sandbox: Sandbox) -> None:
    assert "SyntaxError" in await failure(sandbox, "def run(:\n    return 1")
    assert "name 'run' is not defined" in await failure(sandbox, "x = 1")


async def test_ends_an_infinite_loop_even_one_that_catches_everything(sandbox: Sandbox) -> None:
    body = "        try:\n            while True: pass\n        except BaseException:\n            pass"
    loop = f"def run():\n    while True:\n{body}"
    assert await failure(sandbox, loop, within=0.5) == "run: ran longer than 0.5 s"
    assert await sandbox.run("def run():\n    return 1", {}) == 1


async def test_ends_an_operation_that_cannot_be_interrupted(sandbox: Sandbox) -> None:
    with pytest.raises(StepError, match=r"ran longer than 0\.5 s"):
        await sandbox.run("def run():\n    return len(str(7 ** (7 ** 9)))", {}, seconds=0.5, memory_mb=64)
    assert await sandbox.run("def run():\n    return 1", {}) == 1


@pytest.mark.parametrize(
    "bomb", ["'x' * 10 ** 10", "[0] * 10 ** 9", "[' ' * n for n in range(10 ** 6)]"], ids=["text", "list", "many"]
)
async def test_bounds_memory(sandbox: Sandbox, bomb: str) -> None:
    assert "needed more than 16 MB" in await failure(sandbox, f"def run():\n    return {bomb}")


async def test_bounds_recursion(sandbox: Sandbox) -> None:
    assert "RecursionError" in await failure(sandbox, "def run():\n    return run()")


async def test_bounds_the_result_also_one_that_is_small_until_it_unfolds(sandbox: Sandbox) -> None:
    assert "larger than" in await failure(sandbox, "def run():\n    return ['x' * 1000] * 2000")
    assert "larger than" in await failure(
        sandbox, "def run():\n    a = [1]\n    for _ in range(35): a = [a, a]\n    return a"
    )
    assert "nested deeper" in await failure(
        sandbox, "def run():\n    a = []\n    for _ in range(10 ** 4): a = [a]\n    return a"
    )


async def test_what_code_prints_is_not_shown(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    assert await sandbox.run("def run():\n    print('hello')\n    return 1", {}) == 1
    assert await failure(sandbox, "def run():\n    while True: print('x' * 1000)", within=1.0)
    assert capfd.readouterr() == ("", "")


async def test_one_run_leaves_nothing_for_the_next(sandbox: Sandbox) -> None:
    await sandbox.run("left = 1\ndef run():\n    return 1", {})
    assert "left" in await failure(sandbox, "def run():\n    return left")


async def test_a_cancelled_run_ends_and_the_sandbox_goes_on(sandbox: Sandbox) -> None:
    started = asyncio.create_task(sandbox.run("def run():\n    while True: pass", {}, seconds=60))
    assert await sandbox.run("def run():\n    return 1", {}) == 1
    started.cancel()
    with pytest.raises(asyncio.CancelledError):
        await started
    assert await sandbox.run("def run():\n    return 2", {}) == 2


async def test_closes_twice_and_opens_again(sandbox: Sandbox) -> None:
    await sandbox.close()
    assert await sandbox.run("def run():\n    return 1", {}) == 1
    await sandbox.close()
    await sandbox.close()
    assert await sandbox.run("def run():\n    return 1", {}) == 1


MONTY_LACKS = {"patterns", "generator", "text", "inheritance", "heap"}


@pytest.mark.parametrize("name", HONEST)
async def test_runs_honest_programs(sandbox: Sandbox, name: str) -> None:
    code, printed = HONEST[name]
    if sandbox.identity.startswith("monty") and name in MONTY_LACKS:
        with pytest.raises(StepError, match=r"Error: .+ \(line \d+: "):
            await sandbox.script(code)
    else:
        assert await sandbox.script(code) == printed + "\n"


async def test_a_failed_script_tells_the_error_and_what_it_printed_before(sandbox: Sandbox) -> None:
    with pytest.raises(StepError) as caught:
        await sandbox.script("print('first')\nprint(1 / 0)")
    expected = "ZeroDivisionError: division by zero (line 2: print(1 / 0))\nprinted before:\nfirst\n"
    assert str(caught.value) == expected


async def test_a_script_that_does_not_end_tells_what_it_printed_before(sandbox: Sandbox) -> None:
    with pytest.raises(StepError) as caught:
        await sandbox.script("print('first')\nwhile True: pass", seconds=0.5)
    assert str(caught.value) == "script: ran longer than 0.5 s\nprinted before:\nfirst\n"


async def test_bounds_what_a_script_prints(sandbox: Sandbox) -> None:
    assert len(await sandbox.script(f"print('x' * {PRINTED_BYTES - 1})")) == PRINTED_BYTES
    with pytest.raises(StepError, match="printed"):
        await sandbox.script(f"print('x' * {PRINTED_BYTES})")


async def test_a_script_prints_nothing_of_the_scripts_before(sandbox: Sandbox) -> None:
    assert [await sandbox.script("print(1)"), await sandbox.script("x = 2")] == ["1\n", ""]


async def test_random_numbers_start_at_one_seed(sandbox: Sandbox) -> None:
    code = "import random\ndef run():\n    return [random.random(), random.choice('abc')]"
    assert await sandbox.run(code, {}) == await sandbox.run(code, {})


async def test_sets_of_text_have_one_order(sandbox: Sandbox) -> None:
    code = "def run():\n    return ''.join(list({str(n) for n in range(50)}))"
    assert await sandbox.run(code, {}) == await sandbox.run(code, {})


async def test_equal_faults_have_equal_texts(sandbox: Sandbox) -> None:
    code = "def run():\n    raise ValueError(f'{len}, {print}, {[run]}')"
    assert await failure(sandbox, code) == await failure(sandbox, code)
