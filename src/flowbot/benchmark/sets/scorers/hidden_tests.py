"""pass@1 (Chen et al. 2021): a program is right when all hidden tests pass. It runs in the bubblewrap sandbox and nowhere else.

The metric holds the tests; examples do not, so that no workflow, demonstration, trace or report has them. The process that runs the
hidden tests tells nothing but how they ended. What is wrong is told by a second one that knows the public tests alone, and only of a
program that failed. What models are known to do instead of solving a problem is no pass: ending Python, answers that are equal to
everything, other builtins. As with the publishers' own harnesses, program and tests share a process: one that looks for its tests in
the interpreter's frames finds them.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import re
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from secrets import token_hex
from typing import Any, cast

from flowbot.fields import Score, StepError, stable_hash
from flowbot.fields.words import cut
from flowbot.runtime.sandbox.chosen import open_sandbox
from flowbot.task import Example, Metric

from .official import official

SECONDS = 10
"""Processor time for a program with its tests; the publishers' harnesses allow 3 to 10 s by the clock, where a busy machine decides."""
WAIT_SECONDS = 60.0
"""Time by the clock, which ends what only waits."""
MEMORY_MB = 256
PROGRAM = "program"
"""The output that is scored."""
_LONGEST = 200_000
_FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
"""Of an object: differs from run to run."""
_HARNESS = """
def run(parts, tests, entry_point, mark, seconds):
    import builtins, math, random, resource, sys
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    random.seed(0)
    sys.stdout = open("/dev/null", "w")
    kept = [(vars(each), dict(vars(each))) for each in (builtins, math)]
    execute, evaluate, compiled = exec, eval, compile
    space, nothing = {"__name__": "program"}, object()

    def real(value):
        if value == nothing:
            raise AssertionError("an answer that is equal to everything")
        if isinstance(value, (list, tuple, set, frozenset, dict)):
            for each in value:
                real(each)
                if isinstance(value, dict):
                    real(value[each])
        return value

    class Names:
        def __getitem__(self, name):
            found = space[name]
            if name != entry_point or isinstance(found, type):
                return found
            return lambda *given, **named: real(found(*given, **named))

        def __setitem__(self, name, value):
            space[name] = value

    for name, text in parts:
        try:
            code = compiled(text, name, "exec", dont_inherit=True)
            if name == "tests":
                for module, first in kept:
                    module.update(first)
                execute(code, space, Names())
            else:
                execute(code, space)
        except BaseException as error:
            kind = type(error).__name__
            if name == "tests":
                return {"failed": "tests", "kind": kind}
            line = error.lineno if isinstance(error, SyntaxError) else 0
            step = error.__traceback__
            while step is not None:
                line = step.tb_lineno if step.tb_frame.f_code.co_filename == name else line
                step = step.tb_next
            said = error.msg if isinstance(error, SyntaxError) else str(error)
            return {"failed": "program", "kind": kind, "said": said[:300], "line": line}
    failed = []
    for test, call in tests:
        try:
            execute(test, space, Names())
        except AssertionError as error:
            try:
                failed.append([test, "it gave " + repr(evaluate(call, space))[:300] if call else str(error)[:300]])
            except BaseException as error:
                failed.append([test, type(error).__name__ + ": " + str(error)[:300]])
        except BaseException as error:
            failed.append([test, type(error).__name__ + ": " + str(error)[:300]])
    return {"mark": mark, "failures": failed}
"""


@dataclass(frozen=True, slots=True)
class Tests:
    """Of one problem.

    Args:
        entry_point: the function that is asked for.
        hidden: Python that is run after the program and raises where it is wrong.
        public: asserts that a workflow may see, a statement each.
        before: Python that the problem gives, run before the program: imports and helpers.
        opening: what a reply that is only the body of the function goes on from; "" where a reply must be a whole program.
    """

    entry_point: str
    hidden: str
    public: tuple[str, ...] = ()
    before: str = ""
    opening: str = ""


def pass_at_1(tests: Mapping[str, Tests]) -> Metric:
    """The metric of a set of problems; its identity changes with any of the tests.

    Args:
        tests: by the ids of the examples.

    Raises:
        UserError: if bubblewrap cannot be had: nothing else runs all of Python, and it is found before anything is paid for.
    """
    held = {name: asdict(each) for name, each in tests.items()}
    told = f"{stable_hash(held)} {open_sandbox('bubblewrap').identity} {SECONDS} s {MEMORY_MB} MB"
    return official("pass_at_1", partial(passes_hidden_tests, tests), rule=2, pure=False, of=told)


def passes_hidden_tests(tests: Mapping[str, Tests], example: Example, outputs: Mapping[str, Any]) -> Score:
    """1 if all hidden tests pass, and 0 otherwise, with what the public ones show.

    Raises:
        KeyError: for an example of another set.
        InfrastructureError: if no process can be started.
    """
    wanted, reply = tests[example.id], outputs.get(PROGRAM)
    if not isinstance(reply, str) or not reply.strip() or len(reply) > _LONGEST:
        return Score(0.0, f"{PROGRAM}: " + ("nothing" if not reply else f"no text of at most {_LONGEST:,} characters"))
    program = program_of(reply, wanted)
    hidden = _ran(program, wanted, wanted.hidden, ())
    if hidden is None:
        return Score(1.0)
    return Score(0.0, _told(program, wanted, hidden))


def program_of(reply: str, tests: Tests) -> str:
    """The program in a reply: the first fenced block that defines the function, else the last block, else all of it. One that is
    only the body of the function goes on from the problem's `opening`."""
    blocks = [each.strip("\n") for each in _FENCED.findall(reply)] or [reply]
    found = next((each for each in blocks if defines(each, tests.entry_point)), blocks[-1])
    if tests.opening and not defines(found, tests.entry_point) and _is_body(found):
        return tests.opening + (found if found[:1].isspace() else _indented(found))
    return found


def defines(program: str, name: str) -> bool:
    """Whether a program can be read, and binds that name outside of functions and classes."""
    named: list[str] = []
    for each in _statements(program):
        match each:
            case ast.FunctionDef() | ast.ClassDef():
                named.append(each.name)
            case ast.Assign():
                named += [target.id for target in each.targets if isinstance(target, ast.Name)]
            case ast.ImportFrom():
                named += [alias.asname or alias.name for alias in each.names]
            case _:
                pass
    return name in named


def _is_body(text: str) -> bool:
    """Whether a text is what stands inside of a function: it begins with a blank, or returns."""
    return text[:1].isspace() or any(isinstance(each, ast.Return) for each in _statements(text))


def _statements(program: str) -> Sequence[ast.stmt]:
    """The outermost statements; none of a text that is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a model wrote, as an escape that there is none of
            return ast.parse(program).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _indented(text: str) -> str:
    return "\n".join("    " + line if line.strip() else line for line in text.splitlines())


def _ran(program: str, tests: Tests, hidden: str, public: Sequence[str]) -> Mapping[str, Any] | None:
    """What came of a program: None if the hidden tests passed, or how it ended; with `public` what each of them gave."""
    parts = [["before", tests.before], ["program", program], ["tests", hidden]]
    mark = token_hex(16)
    given = {
        "parts": [each for each in parts if each[1]],
        "tests": [_test(each) for each in public],
        "entry_point": tests.entry_point,
        "mark": mark,
        "seconds": SECONDS,
    }
    try:
        reply = _in_sandbox(given)
    except StepError as error:
        return {"failed": "run", "said": str(error)}
    ended: Mapping[str, Any] = cast("Mapping[str, Any]", reply) if isinstance(reply, dict) else {}
    if ended.get("mark") == mark:
        return ended if public else None
    return ended or {"failed": "run"}


def _test(text: str) -> tuple[str, str]:
    """A public assert, and the call in `assert CALL == VALUE`: what it gives is shown where it is wrong."""
    match _statements(text):
        case [ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()]))]:
            return text, ast.unparse(left)
        case _:
            return text, ""


def _in_sandbox(given: Mapping[str, Any]) -> Any:
    """Run the harness. On a thread of its own: whoever asks for a score may have an event loop running."""

    async def once() -> Any:
        return await open_sandbox("bubblewrap").run(_HARNESS, given, seconds=WAIT_SECONDS, memory_mb=MEMORY_MB)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(once())).result()


def _told(program: str, tests: Tests, hidden: Mapping[str, Any]) -> str:
    """What is wrong with a program that failed, in words that hold nothing of the hidden tests."""
    shown = _ran(program, tests, "", tests.public) or {}
    if shown.get("failed") == "program":
        where = _line(program, shown.get("line"))
        return f"the program does not run: {shown.get('kind')}: {cut(str(shown.get('said')), 300)}{where}"
    if not defines(program, tests.entry_point):
        return f"the program defines no {tests.entry_point}"
    failures = shown.get("failures")
    told = [_failure(each) for each in cast("list[Any]", failures)] if isinstance(failures, list) else []
    if shown.get("failed"):
        told.append(f"with the public tests: {_known_end(shown)}")
    return "; ".join([*told, f"hidden tests: {_hidden_end(hidden)}"])


def _failure(pair: Any) -> str:
    match pair:
        case [str(test), str(said)]:
            gave = f": {cut(_ADDRESS.sub('0x…', said), 300)}" if said else ""
            return f"public test failed: {cut(test, 300)}{gave}"
        case _:
            return "a public test failed"


def _line(program: str, line: Any) -> str:
    lines = program.splitlines()
    return (
        f" (line {line}: {cut(lines[line - 1].strip(), 120)})" if type(line) is int and 0 < line <= len(lines) else ""
    )


def _hidden_end(ended: Mapping[str, Any]) -> str:
    """How the hidden tests ended, by a known word alone: a program could put what it read of them in an error's name or text."""
    kind = ended.get("kind")
    if ended.get("failed") == "run":
        return _known_end(ended)
    if kind == "AssertionError":
        return "one failed"
    known = isinstance(kind, str) and isinstance(getattr(builtins, kind, None), type)
    return f"one ended with {kind}" if known else "one ended with an error"


def _known_end(ended: Mapping[str, Any]) -> str:
    said = str(ended.get("said"))
    ends = (
        f"ran longer than {WAIT_SECONDS:g} s",
        f"needed more than {MEMORY_MB} MB",
        "printed more than",
        "the result is too large",
    )
    known = next((each for each in ends if said.startswith(f"run: {each}")), "")
    return known or f"took more than {SECONDS} s of processor time, or ended Python"
