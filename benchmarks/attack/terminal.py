"""Terminals: a text of anybody's is printed by every verb and commands no terminal, turns no line, and hides nothing."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

from .ground import Endpoint, Escaped, Finished, Ground, attempt, completion, held

HOSTILE = (
    "begin \x1b]0;title\x07 \x1b[2J\x1b[H \x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\ \x1b[5mblink \x9b5mC1 \x90dcs\x9c "
    "\u202eright-to-left\u202c \u2066isolate\u2069 \u200f\u061c \ufeff back\x08\x08 \x7f over\rEVIL [blink]up[/blink] "
    "[link=http://evil.example]x[/link] end"
)
FORBIDDEN = {
    "a command to the terminal": "\x1b]",
    "a cleared screen": "\x1b[2J",
    "blinking text": "\x1b[5m",
    "a C1 command": "\x9b",
    "a C1 string": "\x90",
    "a bell": "\x07",
    "a step back": "\x08",
    "DEL": "\x7f",
    "a change of direction": "\u202e",
    "an isolate": "\u2066",
    "a right-to-left mark": "\u200f",
    "an Arabic letter mark": "\u061c",
    "a byte order mark": "\ufeff",
    "a line written over": "\rEVIL",
}


def _terminal(at: Ground, *arguments: str | Path, seconds: float = 60.0, **environment: str) -> Finished:
    """The command line on a terminal of 100 columns, in colour; all that it wrote there, errors too, is `out`."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in at.environment.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "flowbot", *map(str, arguments)],
        cwd=at.folder,
        env={**kept, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", **environment},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    began, written = time.monotonic(), b""
    while True:
        if time.monotonic() - began > seconds:
            process.kill()
            raise Escaped(f"it has not ended after {seconds:g} s")
        if select.select([ours], [], [], 0.2)[0]:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that nobody writes there any more
                break
            if not part:
                break
            written += part
    os.close(ours)
    return Finished(process.wait(), written.decode("utf-8", "replace"), "", time.monotonic() - began)


def _tame(found: Finished, *, shows: str = "title") -> None:
    """See that nothing of the payload works, and that its words are there, so that it was printed at all."""
    for what, forbidden in FORBIDDEN.items():
        held(forbidden not in found.said, f"{what}: …{_around(found.said, forbidden)}…")
    held(shows in found.said, f"it is not printed at all: {found.line()!r}")


def _around(text: str, part: str) -> str:
    at = text.find(part)
    return repr(text[max(0, at - 20) : at + 30])


def _both(at: Ground, *arguments: str | Path, shows: str = "title", **environment: str) -> None:
    """On a terminal, and where a pipe carries it to one."""
    _tame(_terminal(at, *arguments, **environment), shows=shows)
    _tame(at.flowbot(*arguments, **environment), shows=shows)


def _run_folder(at: Ground) -> None:
    at.task([{"id": f"r{n} {HOSTILE}", "word": f"{HOSTILE}{n}", "count": HOSTILE} for n in range(30)], goal=HOSTILE)
    made = at.flowbot("optimize", "task.yaml", "--model", "fake/echo", "--method", "none", "--run-dir", "run")
    held(made.status == 0, made.line())


@attempt("terminal", "flow file")
def goal_in_check(at: Ground) -> None:
    """`check` prints a task's goal, with commands for the terminal, on a terminal"""
    at.task(goal=HOSTILE)
    _both(at, "check", "task.yaml")


@attempt("terminal", "data file")
def expected_output_in_check(at: Ground) -> None:
    """`check` prints rows and labels of a hostile data file"""
    at.task([{"id": f"{HOSTILE}{n % 3}", "word": HOSTILE, "count": HOSTILE} for n in range(40)])
    _both(at, "check", "task.yaml")


@attempt("terminal", "flow file")
def defects_in_check(at: Ground) -> None:
    """`check` quotes hostile names, types and values of a flow in its defects"""
    at.write(
        "bad.flow.yaml",
        {"flowbot": 1, "inputs": {HOSTILE: HOSTILE}, "outputs": {"x": HOSTILE}, "nodes": {HOSTILE: {"kind": HOSTILE}}},
    )
    _both(at, "check", "bad.flow.yaml")


@attempt("terminal", "flow file")
def drawing_of_a_flow(at: Ground) -> None:
    """`check` draws a flow whose instruction and branch labels are hostile"""
    at.flow(instruction=HOSTILE, format_hint=HOSTILE)
    for found in (_terminal(at, "check", "found.flow.yaml"), at.flowbot("check", "found.flow.yaml")):
        _tame(found, shows="found.flow.yaml")


@attempt("terminal", "model reply", slow=True)
def reply_in_run(at: Ground) -> None:
    """`run` prints a model's reply"""
    at.flow()
    with Endpoint(lambda asked: completion(json.dumps({"count": HOSTILE}))) as endpoint:
        _both(at, "run", "found.flow.yaml", "word=a", "--model", "openai/gpt", **endpoint.environment)


@attempt("terminal", "model reply", slow=True)
def replies_of_many_rows(at: Ground) -> None:
    """`run --inputs` prints a line of JSON for each row, which stays JSON"""
    at.flow()
    at.write("in.jsonl", "".join(json.dumps({"word": HOSTILE}) + "\n" for _ in range(3)))
    _both(at, "run", "found.flow.yaml", "--inputs", "in.jsonl", "--model", "fake/echo")
    lines = at.flowbot("run", "found.flow.yaml", "--inputs", "in.jsonl", "--model", "fake/echo").out.splitlines()
    held(all("\u202e" in json.loads(line)["count"] for line in lines), "the text is another")


@attempt("terminal", "model reply", slow=True)
def feedback_and_ids_in_eval(at: Ground) -> None:
    """`eval` prints ids, feedback and errors, with direction marks"""
    at.task([{"id": f"{n} {HOSTILE}", "word": f"{n} {HOSTILE}", "count": HOSTILE} for n in range(10)])
    at.flow()
    _both(at, "eval", "found.flow.yaml", "task.yaml", "--model", "fake/echo")


@attempt("terminal", "model reply", slow=True)
def objects_for_programs(at: Ground) -> None:
    """`--json` on a terminal holds no raw control or direction character, and the same texts once it is read"""
    at.task([{"id": f"{n} {HOSTILE}", "word": f"{n} {HOSTILE}", "count": HOSTILE} for n in range(10)], goal=HOSTILE)
    at.flow()
    found = _terminal(
        at, "eval", "found.flow.yaml", "task.yaml", "--model", "fake/echo", "--json", "--log-level", "error"
    )
    _tame(found)
    text = at.flowbot("eval", "found.flow.yaml", "task.yaml", "--model", "fake/echo", "--json").out
    held(HOSTILE in json.loads(text)["rows"][0]["id"], "the texts are others")
    _tame(_terminal(at, "check", "task.yaml", "--json"))


@attempt("terminal", "data file", slow=True)
def optimize_on_a_terminal(at: Ground) -> None:
    """`optimize` with its live line, summary, drawings and next commands on hostile data and instructions"""
    at.task([{"id": f"r{n} {HOSTILE}", "word": f"{HOSTILE}{n}", "count": HOSTILE} for n in range(30)], goal=HOSTILE)
    at.flow(instruction=HOSTILE)
    command = ("optimize", "task.yaml", "--start", "found.flow.yaml", "--model", "fake/counter", "--effort", "low")
    for found in (
        _terminal(at, *command, "--max-calls", "120", "--run-dir", "one", seconds=120),
        at.flowbot(*command, "--max-calls", "120", "--run-dir", "two", seconds=120),
    ):
        _tame(found, shows="How good it is")


@attempt("terminal", "model reply", slow=True)
def proposals_of_a_meta_model(at: Ground) -> None:
    """titles and reasons that a meta model writes are printed while the search goes on"""
    at.task()
    at.flow()

    def answer(asked: object) -> object:
        return completion(
            json.dumps(dict.fromkeys(("count", "title", "reason", "instruction", "feedback", "answer"), HOSTILE))
        )

    with Endpoint(answer) as endpoint:
        found = _terminal(
            at,
            *("optimize", "task.yaml", "--start", "found.flow.yaml", "--model", "openai/gpt", "--method", "paper"),
            *("--max-calls", "60", "--effort", "low", "--log-level", "info"),
            seconds=120,
            **endpoint.environment,
        )
    _tame(found, shows="How good it is")


@attempt("terminal", "run folder", slow=True)
def show_a_run(at: Ground) -> None:
    """`show` lists and shows hostile ids, inputs, prompts and replies"""
    _run_folder(at)
    _both(at, "show", "run", shows="r1")
    example = json.loads(at.flowbot("show", "run", "--json").out)["examples"][0]["id"]
    _both(at, "show", "run", example)
    _both(at, "show", "run", example, "--full", "--json")


@attempt("terminal", "run folder", slow=True)
def compare_and_report_a_run(at: Ground) -> None:
    """`compare` and `report` on a run whose result names hostile methods, models and reasons"""
    _run_folder(at)
    path = at.folder / "run" / "result.json"
    data = json.loads(path.read_text())
    data.update(method=HOSTILE, task={"name": HOSTILE, "goal": HOSTILE}, reason=HOSTILE, models={"model": HOSTILE})
    path.write_text(json.dumps(data))
    for found in (_terminal(at, "report", "run"), at.flowbot("report", "run")):
        _tame(found, shows="report.html")
    found = _terminal(at, "compare", "run", "run")
    for what, forbidden in FORBIDDEN.items():
        held(forbidden not in found.said, what)
    page = (at.folder / "run" / "report.html").read_text()
    held("\x1b]" not in page.replace("&#27;", "") or "<script" not in page, "the page runs something")


@attempt("terminal", "flow file")
def diff_of_flows(at: Ground) -> None:
    """`diff` prints hostile instructions word by word, code and names of nodes"""
    at.flow(instruction=f"Count. {HOSTILE}")
    (at.folder / "found.flow.yaml").rename(at.folder / "one.flow.yaml")
    at.flow(instruction=f"Count! {HOSTILE} {HOSTILE}")
    _both(at, "diff", "one.flow.yaml", "found.flow.yaml")


@attempt("terminal", "data file")
def init_from_rows(at: Ground) -> None:
    """`init` shows the columns, labels and files of a hostile table"""
    rows = [{"question": f"{HOSTILE} {n}", f"answer {HOSTILE}": f"{HOSTILE}{n % 2}"} for n in range(30)]
    at.write("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    for found in (
        _terminal(at, "init", "rows.jsonl", "--out", "one"),
        at.flowbot("init", "rows.jsonl", "--out", "two"),
    ):
        _tame(found, shows="task.yaml")


@attempt("terminal", "environment", slow=True)
def names_of_files(at: Ground) -> None:
    """errors quote hostile names of files, options and values"""
    name = "x\x1b]0;title\x07\u202e\x9b5m\x08.yaml"
    at.write(name, "flowbot: 1\ngoal: [\n")
    for command in (
        ("check", name),
        ("check", f"no{name}"),
        ("run", name, "word=a"),
        ("run", name, "word=a", "--model", HOSTILE),
        ("eval", name, name),
        ("optimize", name),
        ("show", name, name),
        ("diff", name, name),
        ("report", name),
        ("compare", name, name),
        ("cache", "import", name),
    ):
        _both(at, *command, shows="")


@attempt("terminal", "environment", slow=True)
def options_that_are_none(at: Ground) -> None:
    """what is wrong with the command line is said with its hostile arguments in it"""
    for command in (
        (HOSTILE,),
        ("run", f"--{HOSTILE}"),
        ("optimize", "a", "--effort", HOSTILE),
        ("check", "--seed", HOSTILE),
        ("models", HOSTILE),
        ("starts", HOSTILE),
        ("cache", HOSTILE),
    ):
        _both(at, *command, shows="flowbot: ")


@attempt("terminal", "endpoint", slow=True)
def error_of_an_endpoint(at: Ground) -> None:
    """an endpoint's error, its content type and its redirect are printed by `run` and `models`"""
    at.flow()
    with Endpoint(lambda asked: (401, {"error": {"message": HOSTILE}})) as endpoint:
        _both(at, "run", "found.flow.yaml", "word=a", "--model", "openai/gpt", **endpoint.environment)
        _both(at, "models", "openai/gpt", **endpoint.environment)
    with Endpoint(lambda asked: HOSTILE.encode()) as endpoint:
        _both(at, "models", "openai/gpt", "--max-seconds", "3", shows="flowbot", **endpoint.environment)


@attempt("terminal", "endpoint")
def reply_in_models(at: Ground) -> None:
    """`models MODEL` prints the reply and the name that an endpoint gives itself"""
    with Endpoint(lambda asked: {**completion(HOSTILE), "model": HOSTILE}) as endpoint:
        _both(at, "models", "openai/gpt", **endpoint.environment)


@attempt("terminal", "tool or code", slow=True)
def exception_of_a_tool(at: Ground) -> None:
    """a tool's and a metric's exception, with a class and a text that mean harm"""
    at.write("metrics.py", f"def score(example, outputs):\n    raise RuntimeError({HOSTILE!r})\n")
    at.task(metric="metrics.py:score")
    at.flow()
    _both(at, "eval", "found.flow.yaml", "task.yaml", "--model", "fake/echo")
    _both(at, "check", "task.yaml")
    _both(at, "eval", "found.flow.yaml", "task.yaml", "--model", "fake/echo", "--log-level", "debug")


@attempt("terminal", "model reply")
def log_lines_are_forged(at: Ground) -> None:
    """a text with line ends writes log lines of its own, on standard error and in a file"""
    forged = "x\nCRITICAL flowbot.lm: all is well\r\n2026-01-01T00:00:00.000Z CRITICAL flowbot: so it is"
    at.write("metrics.py", f"def score(example, outputs):\n    raise RuntimeError({forged + HOSTILE!r})\n")
    at.task(metric="metrics.py:score")
    at.flow()
    log = at.folder / "log.txt"
    command = ("eval", "found.flow.yaml", "task.yaml", "--model", "fake/echo", "--log-level", "info")
    for more in ((), ("--log-file", log)):
        found = at.flowbot(*command, *more)
        text = found.err + (log.read_text() if log.exists() else "")
        held("all is well" in text, f"nothing is logged: {found.line()}")
        held(not re.search(r"^(\S+Z )?CRITICAL", text, re.MULTILINE), "a line is forged")
        _tame(Finished(0, text, "", 0))


@attempt("terminal", "tool or code")
def progress_in_python(at: Ground) -> None:
    """`fb.ProgressBar`, printed traces and results of the Python interface, on a terminal's standard error"""
    code = f"""
import sys, flowbot as fb
bar = fb.ProgressBar()
bar(fb.ProgressEvent("search", {HOSTILE!r}, what="news"))
flow = fb.load("found.flow.yaml", lm="fake/echo")
trace = flow.trace(word={HOSTILE!r})
print(trace, repr(trace), file=sys.stderr)
print(fb.evaluate("found.flow.yaml", "task.yaml", lm="fake/echo"), file=sys.stderr)
"""
    at.task([{"id": f"r{n} {HOSTILE}", "word": f"{HOSTILE}{n}", "count": HOSTILE} for n in range(10)])
    at.flow()
    found = at.python("-c", code)
    held(found.status == 0, found.line())
    _tame(found)


@attempt("terminal", "MCP server", slow=True)
def words_of_an_mcp_server(at: Ground) -> None:
    """an MCP server's last words before it dies, and the names of what it offers"""
    at.write("server.py", f"import sys\nsys.exit({HOSTILE!r})\n")
    source = {"mcp": {"command": [sys.executable, "server.py"]}, "only": ["look"]}
    at.task(tools=[source])
    at.flow(tools=["look"])
    _both(at, "eval", "found.flow.yaml", "task.yaml", "--model", "fake/echo", shows="EVIL")
    at.write(
        "server.py",
        "from mcp.server.mcpserver import MCPServer\n"
        f"s = MCPServer('x')\ns.tool(name='title', description={HOSTILE!r})(lambda a=1: a)\ns.run()\n",
    )
    _both(at, "eval", "found.flow.yaml", "task.yaml", "--model", "fake/echo")


@attempt("terminal", "run folder", slow=True)
def verbs_that_ask_nobody(at: Ground) -> None:
    """`starts`, `cache` and `models` with a cache folder and a `.env` of hostile names"""
    place = at.folder / "c\x1b]0;title\x07\u202e"
    at.write(".env", "FLOWBOT_\u202etitle\x1b]0;title\x07=1\n")
    for command in (("starts",), ("cache", "stats"), ("cache", "verify"), ("models",)):
        for found in (_terminal(at, *command, "--cache-dir", place), at.flowbot(*command, "--cache-dir", place)):
            for what, forbidden in FORBIDDEN.items():
                held(forbidden not in found.said, f"{command}: {what}")


@attempt("terminal", "flow file", slow=True)
def a_flow_that_wraps_badly(at: Ground) -> None:
    """a line so long that wrapping or cutting it splits an escape from its text"""
    for length in (70, 83, 84, 85, 96, 97, 98, 117, 118, 119):
        at.task(goal="x" * length + HOSTILE)
        _tame(_terminal(at, "check", "task.yaml"))
