"""Values of a wrong kind or out of all range, wherever data comes in: one clear line, never "unexpected …" or a traceback.

The changes of a run's files are made and read in one process for each attempt (`changed`): thousands of them take minutes
that way, and hours by the command line. A child reads them, so that what ends a process is seen too.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .ground import Asked, Endpoint, Finished, Ground, attempt, completion, held

DEEP = "[" * 10_000 + "]" * 10_000
DIGITS = "9" * 400
_CHANGES = """
import shutil, sys
from itertools import islice
from pathlib import Path
sys.path.insert(0, {benchmarks!r})
from attack.changed import READERS, changes, make_run
from flowbot.fields import FlowBotError

folder = Path.cwd()
run = make_run(folder)
shutil.copytree(run, folder / "other")
made = 0
for name in {files!r}:
    kept = (run / name).read_text()
    for place, text in islice(changes(run / name), 0, None, {every}):
        (run / name).write_text(text)
        made += 1
        try:
            READERS[{reader!r}](folder)
        except FlowBotError:
            pass
        except BaseException as error:
            print(f"ESCAPED by {{place}}: {{type(error).__name__}}: {{str(error)[:200]}}")
            sys.exit(1)
    (run / name).write_text(kept)
print(made, "made")
"""


def changed(at: Ground, files: Sequence[str], reader: str, *, every: int = 23) -> None:
    """Every `every`-th change of these files, read by `reader`; with ATTACK_WHOLE set, all of them, which takes an hour."""
    if os.environ.get("ATTACK_WHOLE"):
        every = 1
    code = _CHANGES.format(benchmarks=str(Path(__file__).parents[1]), files=tuple(files), reader=reader, every=every)
    found = at.python("-c", code, seconds=7200)
    held(found.status == 0 and re.search(r"[1-9][0-9]* made", found.out), found.line())


def one_line(found: Finished, *names: str, status: int = 2) -> None:
    """That a command was refused in one line, which holds each of the names."""
    held(found.status == status, f"status {found.status}: {found.line()}")
    held("Traceback" not in found.said and "unexpected" not in found.said, found.line())
    missing = [name for name in names if name not in found.said]
    held(not missing, f"it does not name {', '.join(missing)}: {found.line()}")
    held(len(found.err.strip().splitlines()) <= 3 and len(found.err) < 1500, f"{len(found.err)} characters of error")


# --- run files

RUN = ("journal.jsonl", "examples.jsonl", "result.json")
FLOWS = ("found.flow.yaml", "start.flow.yaml")


@attempt("foreign values", "run folder", slow=True)
def changes_read_by_report(at: Ground) -> None:
    """single values of a run's files replaced by odd ones, read by report"""
    changed(at, [*RUN, *FLOWS], "report")


@attempt("foreign values", "run folder", slow=True)
def changes_read_by_list(at: Ground) -> None:
    """single values of a run's files replaced by odd ones, read by the list of show"""
    changed(at, [*RUN, *FLOWS], "list")


@attempt("foreign values", "run folder", slow=True)
def changes_read_by_show(at: Ground) -> None:
    """single values of a run's files replaced by odd ones, read by show with one example"""
    changed(at, [*RUN, *FLOWS], "show")


@attempt("foreign values", "run folder", slow=True)
def changes_read_by_show_json(at: Ground) -> None:
    """single values of a run's files replaced by odd ones, read by show --json with one example"""
    changed(at, [*RUN, *FLOWS], "show --json")


@attempt("foreign values", "run folder", slow=True)
def changes_read_by_compare(at: Ground) -> None:
    """single values of a run's files replaced by odd ones, read by compare with a sound run"""
    changed(at, [*RUN, *FLOWS], "compare")


@attempt("foreign values", "run folder", slow=True)
def changes_read_by_compare_json(at: Ground) -> None:
    """single values of a run's files replaced by odd ones, read by compare --json on validation"""
    changed(at, [*RUN, *FLOWS], "compare --json")


@attempt("foreign values", "run folder", slow=True)
def changes_read_by_diff(at: Ground) -> None:
    """single values of a run's files replaced by odd ones, read by diff"""
    changed(at, [*RUN, *FLOWS], "diff")


@attempt("foreign values", "run folder", slow=True)
def changes_of_a_flow_that_is_run(at: Ground) -> None:
    """single values of a found flow replaced by odd ones, and the flow run"""
    changed(at, FLOWS[:1], "run", every=3)


@attempt("foreign values", "run folder", slow=True)
def changes_before_the_same_command_again(at: Ground) -> None:
    """single values of a run's files replaced by odd ones, and the command that made the run given again"""
    changed(at, ["journal.jsonl", "start.flow.yaml"], "optimize", every=29)


def _run(at: Ground) -> Path:
    found = at.flowbot("optimize", at.task(), "--model", "fake/echo", "--effort", "low", "--run-dir", "run")
    held(found.status == 0, found.line())
    return at.folder / "run"


@attempt("foreign values", "run folder")
def a_result_of_ten_thousand_lists(at: Ground) -> None:
    """result.json is a list in a list, ten thousand deep"""
    run = _run(at)
    (run / "result.json").write_text(DEEP)
    one_line(at.flowbot("report", "run"), "result.json", "nested")
    one_line(at.flowbot("show", "run"), "result.json", "nested")


@attempt("foreign values", "run folder")
def a_deep_line_in_the_journal(at: Ground) -> None:
    """a line of journal.jsonl is ten thousand deep, and the command is given again"""
    run = _run(at)
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    (run / "journal.jsonl").write_text("".join([lines[0], DEEP + "\n", *lines[2:]]))
    again = at.flowbot("optimize", "task.yaml", "--model", "fake/echo", "--effort", "low", "--run-dir", "run")
    one_line(again, "journal.jsonl:2", "nested")


@attempt("foreign values", "run folder")
def a_price_that_is_no_number(at: Ground) -> None:
    """result.json says that the run cost "a lot", and that its calls were -3"""
    run = _run(at)
    result = json.loads((run / "result.json").read_text())
    for member, value in (("usd", "a lot"), ("calls", -3)):
        (run / "result.json").write_text(json.dumps({**result, "spent": {**result["spent"], member: value}}))
        one_line(at.flowbot("report", "run"), f"spent.{member}")


@attempt("foreign values", "run folder")
def python_reads_a_damaged_run(at: Ground) -> None:
    """fb.write_report on a run whose example has a score of 1e308"""
    run = _run(at)
    text = (run / "examples.jsonl").read_text()
    (run / "examples.jsonl").write_text(re.sub(r'"score": [0-9.]+', '"score": 1e308', text, count=1))
    code = "import flowbot as fb\ntry:\n    fb.write_report('run')\nexcept fb.UserError as error:\n    print('told', error)"
    found = at.python("-c", code)
    held("told" in found.out and "score" in found.out and not found.err, found.line())


# --- stores and what is imported into one


def _line(value: Any, kind: str = "lm", **more: Any) -> str:
    return json.dumps({"key": "k" * 64, "kind": kind, "created": 1.5, "value": value, **more}) + "\n"


def _reply(**usage: Any) -> dict[str, Any]:
    used = {"calls": 1, "input_tokens": 1, "output_tokens": 1, "cached_tokens": 0, "usd": 0.0, "seconds": 0.0, **usage}
    return {"text": "x", "finish": "stop", "usage": used, "seconds": 0.0, "model": "m"}


@attempt("foreign values", "data file")
def imported_prices_of_no_kind(at: Ground) -> None:
    """cache import takes replies that cost "x", -1000 or as many tokens as has 400 digits"""
    for member, value in (
        ("usd", "x"),
        ("usd", -1000),
        ("input_tokens", int(DIGITS)),
        ("calls", True),
        ("seconds", 1e308),
    ):
        at.write("in.jsonl", _line(_reply(**{member: value})))
        one_line(at.flowbot("cache", "import", "in.jsonl"), "in.jsonl:1")
        at.write("in.jsonl", _line(_reply()))
    held(at.flowbot("cache", "import", "in.jsonl").status == 0, "a sound line is refused too")


@attempt("foreign values", "data file", slow=True)
def imported_results_of_no_kind(at: Ground) -> None:
    """cache import takes scores of 7, tools' results without outputs, and capabilities that are none"""
    wrong: list[tuple[str, Any]] = [
        ("metric", {"value": 7, "feedback": "", "parts": {}}), ("metric", {"value": 1.0}), ("tool", {"seconds": 1}),
        ("tool", {"outputs": [], "seconds": 0.0}), ("tool", {"outputs": {}, "seconds": -1}), ("code", {}),
        ("code", {"error": 3}), ("probe", {"capabilities": {"seed": "x"}}), ("probe", {}),
    ]  # fmt: skip
    for kind, value in wrong:
        at.write("in.jsonl", _line(value, kind))
        one_line(at.flowbot("cache", "import", "in.jsonl"), "in.jsonl:1")


@attempt("foreign values", "data file")
def imported_lines_of_no_kind(at: Ground) -> None:
    """cache import takes deep values, numbers of 400 digits, times beyond all calendars and keys that are no text"""
    lines = [
        _line("@").replace('"@"', f'{{"a":{DEEP}}}'), _line({}).replace("1.5", DIGITS), _line({}).replace("1.5", "1e999"),
        _line(_reply(), key=3), _line(_reply(), key="a\x1b[2J"), _line(_reply(), created=1e17), "[" * 100_000, "\\ud800",
    ]  # fmt: skip
    for line in lines:
        at.write("in.jsonl", line)
        one_line(at.flowbot("cache", "import", "in.jsonl"), "in.jsonl:1")


def _hostile(at: Ground, change: str, *values: object) -> None:
    """A store as an evaluation leaves it, with every row changed."""
    at.task()
    held(_evaluated(at).status == 0, "the evaluation itself fails")
    with sqlite3.connect(at.cache / "store.sqlite") as connection:
        connection.create_function("crc", 1, lambda text: zlib.crc32(text.encode()))
        connection.execute(change, values)
    connection.close()


def _evaluated(at: Ground) -> Finished:
    return at.flowbot("eval", at.flow(), "task.yaml", "--model", "fake/echo", "--split", "val")


@attempt("foreign values", "run folder")
def a_store_of_lists_without_end(at: Ground) -> None:
    """every stored reply is ten thousand lists deep, with a checksum that fits"""
    _hostile(at, "UPDATE responses SET value = ?1, crc = ?2", DEEP, zlib.crc32(DEEP.encode()))
    again = _evaluated(at)
    held(again.status == 3 and "Traceback" not in again.said and "cache verify" in again.said, again.line())
    held(at.flowbot("cache", "verify").status == 1, "verify finds nothing")
    held(at.flowbot("cache", "verify", "--repair").status == 0 and _evaluated(at).status == 0, "it cannot be mended")


@attempt("foreign values", "run folder", slow=True)
def a_store_of_other_types(at: Ground) -> None:
    """rows whose value is a number, whose key is a blob and whose day of use is a text"""
    for change in (
        "UPDATE responses SET value = 3", "UPDATE responses SET value = x'ff00', key = CAST(key AS BLOB)",
        "UPDATE responses SET used = 'never'", "UPDATE responses SET crc = 'x'", "UPDATE responses SET created = 9e999",
        "UPDATE responses SET created = 'now', kind = x'00'",
    ):  # fmt: skip
        _hostile(at, change)
        for verb in (
            ["cache"],
            ["cache", "verify"],
            ["cache", "prune", "--older-than", "1d"],
            ["cache", "export", "o.jsonl"],
        ):
            found = at.flowbot(*verb)
            held("Traceback" not in found.said and "unexpected" not in found.said, f"{change}: {found.line()}")
        again = _evaluated(at)
        held(again.status in (0, 3) and "Traceback" not in again.said, f"{change}: {again.line()}")
        (at.cache / "store.sqlite").unlink()


@attempt("foreign values", "run folder")
def stored_scores_out_of_range(at: Ground) -> None:
    """a stored score of a user's metric is 7, with a checksum that fits"""
    at.write("metrics.py", "def score(example, outputs):\n    return 1.0\n")
    at.task(metric="metrics.py:score")
    held(_evaluated(at).status == 0, "the evaluation itself fails")
    text = json.dumps({"value": 7, "feedback": 3, "parts": []})
    with sqlite3.connect(at.cache / "store.sqlite") as connection:
        done = connection.execute(
            "UPDATE responses SET value = ?1, crc = ?2 WHERE kind = 'metric'", (text, zlib.crc32(text.encode()))
        )
        held(done.rowcount, "no score is stored")
    connection.close()
    again = _evaluated(at)
    held(again.status == 3 and "cache verify" in again.said and "Traceback" not in again.said, again.line())


# --- the environment


@attempt("foreign values", "environment", slow=True)
def malformed_proxies(at: Ground) -> None:
    """a proxy variable that is no URL, of another kind, or with a port that there is not"""
    for text in (
        "http://[bad",
        ":::",
        "http://a:b:c",
        "http://x:99999",
        "socks5://x:1",
        "http://",
        f"http://{'a' * 300}.com",
    ):
        found = at.flowbot("models", "openai/gpt-4.1-mini", HTTPS_PROXY=text, OPENAI_API_KEY="sk-x")
        one_line(found, "https_proxy")


@attempt("foreign values", "environment", slow=True)
def malformed_addresses(at: Ground) -> None:
    """a base URL that is no URL"""
    for text in (
        "http://[bad",
        ":::",
        "http://",
        "http://x:99999/v1",
        "file:///etc/passwd",
        f"http://{'a' * 300}.com/v1",
        "http://a b/",
    ):
        found = at.flowbot("models", "openai/gpt-4.1-mini", OPENAI_BASE_URL=text, OPENAI_API_KEY="sk-x")
        one_line(found, "OPENAI_BASE_URL")


@attempt("foreign values", "environment")
def certificates_that_are_none(at: Ground) -> None:
    """SSL_CERT_FILE names nothing, or a file that holds no certificate"""
    for file in ("/nonexistent.pem", str(at.write("garbage.pem", "garbage"))):
        found = at.flowbot("models", "openai/gpt-4.1-mini", SSL_CERT_FILE=file, OPENAI_API_KEY="sk-x")
        one_line(found, "SSL_CERT_FILE")


@attempt("foreign values", "environment")
def a_cache_folder_of_nobody(at: Ground) -> None:
    """FLOWBOT_CACHE_DIR begins at the home folder of a user that there is not"""
    at.task()
    for verb in (["eval", at.flow(), "task.yaml", "--model", "fake/echo"], ["cache"]):
        one_line(at.flowbot(*verb, FLOWBOT_CACHE_DIR="~nobody_of_this_name/x"), "FLOWBOT_CACHE_DIR")


@attempt("foreign values", "environment", slow=True)
def odd_terminals_and_places(at: Ground) -> None:
    """COLUMNS=x, an odd TZ, LANG and TERM, no TMPDIR and an empty HOME"""
    at.task()
    for name, value in {
        "COLUMNS": "x", "LINES": "-3", "TZ": "No/Where", "LANG": "xx_YY.odd", "TERM": "odd", "TMPDIR": "/nonexistent", "HOME": "",
    }.items():  # fmt: skip
        found = at.flowbot("eval", at.flow(), "task.yaml", "--model", "fake/echo", **{name: value})
        held(found.status == 0, f"{name}={value}: {found.line()}")


# --- options, data, flows, Python


@attempt("foreign values", "environment", slow=True)
def numbers_of_options(at: Ground) -> None:
    """ceilings, paces, seeds and prices that are nan, infinite, negative, nothing, half or of 400 digits"""
    at.task()
    flow = at.flow()
    for option in ("--max-calls", "--max-tokens", "--max-usd", "--concurrency", "--tokens-per-minute"):
        for text in ("-1", "nan", "1e400", DIGITS, "x"):
            found = at.flowbot("eval", flow, "task.yaml", "--model", "fake/echo", option, text)
            one_line(found, option)
    for text in ("-1", "1.5", DIGITS, "nan"):
        found = at.flowbot("optimize", "task.yaml", "--model", "fake/echo", "--dry-run", "--seed", text)
        one_line(found, "seed")
    for text in ("nan,nan", "-1,2", "1e400,0", "1", "1e308,1e308"):
        one_line(at.flowbot("eval", flow, "task.yaml", "--model", "fake/echo", "--price", text), "--price")


@attempt("foreign values", "data file", slow=True)
def values_of_a_run(at: Ground) -> None:
    """flowbot run with v=VALUE: deep JSON, 400 digits, NaN, twice the same key, half a surrogate pair"""
    kinds = {"int": (DIGITS, DEEP, "NaN", "1e999"), "object": (DEEP, '{"a":1,"a":2}', '{"a":NaN}', f'{{"a":{DIGITS}}}')}
    for kind, texts in kinds.items():
        flow = at.write(
            "v.flow.yaml",
            {
                "flowbot": 1,
                "inputs": {"v": kind},
                "outputs": {"o": "a.o"},
                "nodes": {"a": {"kind": "llm", "in": {"v": "v"}, "out": {"o": "str"}}},
                "parameters": {"a": {"instruction": "x"}},
            },
        )
        for text in texts:
            one_line(at.flowbot("run", flow, f"v={text}", "--model", "fake/echo"), "v")


@attempt("foreign values", "data file", slow=True)
def rows_of_data(at: Ground) -> None:
    """data rows of 400 digits, NaN, 1e999, NUL, deep lists, half a pair, twice the same key and a mark in mid-file"""
    good = '{"word": "aa", "count": "2"}\n{"word": "b", "count": "1"}\n{"word": "ccc", "count": "3"}\n'
    for odd in (DIGITS, "NaN", "1e999", DEEP, '"\\ud800"', '1, "word": 2', '"\0"', '"a"}\ufeff{"b": 1'):
        at.task()
        at.write("rows.jsonl", f'{good}{{"word": {odd}, "count": "1"}}\n')
        found = at.flowbot("check", "task.yaml")
        held(found.status in (1, 2) and "rows.jsonl:4" in found.said, f"{odd[:20]}: {found.line()}")
        held("Traceback" not in found.said and "unexpected" not in found.said, found.line())


@attempt("foreign values", "data file", slow=True)
def fractions_of_a_split(at: Ground) -> None:
    """the parts of a split are nan, negative, infinite or of 400 digits"""
    for parts in ("[.nan, 0.5, 0.5]", "[-1, 1, 1]", "[1e400, 0, 0]", f"[{DIGITS}, 0, 0]", "[1e308, -1e308, 1]", DEEP):
        path = at.task()
        path.write_text(path.read_text().replace("[0.4, 0.3, 0.3]", parts))
        found = at.flowbot("eval", at.flow(), "task.yaml", "--model", "fake/echo")
        one_line(found, "task.yaml")


@attempt("foreign values", "flow file", slow=True)
def numbers_of_a_flow(at: Ground) -> None:
    """temperature, samples and token limits of a step that are nan, negative, 10^30 or of 400 digits"""
    for name in ("temperature", "samples", "max_tokens"):
        for text in ("-1", ".nan", "1" + "0" * 30, DIGITS, "1e308"):
            path = at.flow(**{name: "@"})
            path.write_text(path.read_text().replace('"@"', text))
            one_line(at.flowbot("run", path, "word=a", "--model", "fake/echo"), "found.flow.yaml")


@attempt("foreign values", "environment")
def numbers_in_python(at: Ground) -> None:
    """budgets, paces, seeds, prices and rows in Python: nan, infinity, 10^5000, True, lists that hold themselves"""
    at.task()
    at.flow()
    code = """
import flowbot as fb
loop = []; loop.append(loop)
odd = [float("nan"), float("inf"), -1, 10**400, 10**5000, True, "x", [], loop]
row = {"word": "a", "count": "1"}
def task(rows): return fb.Task(goal="x", inputs={"word": "str"}, outputs={"count": "str"}, metric="exact", rows=rows)
tries = [
    *((name, lambda value, name=name: fb.Budget(**{name: value})) for name in ("calls", "tokens", "usd", "seconds")),
    *((name, lambda value, name=name: fb.Pace(**{name: value})) for name in ("concurrency", "requests_per_minute")),
    ("seed", lambda value: fb.optimize("task.yaml", lm="fake/echo", seed=value)),
    ("method", lambda value: fb.optimize("task.yaml", lm="fake/echo", method=value)),
    ("effort", lambda value: fb.optimize("task.yaml", lm="fake/echo", effort=value)),
    ("split", lambda value: fb.evaluate("found.flow.yaml", "task.yaml", lm="fake/echo", split=value)),
    ("price", lambda value: fb.evaluate("found.flow.yaml", "task.yaml", lm="fake/echo", price=(value, -1))),
    ("extra", lambda value: task([{**row, "extra": [value, loop]}])),
]
for name, call in tries:
    for number, value in enumerate(odd):
        try:
            call(value)
        except fb.UserError:
            continue
        print("taken", name, number)
print("ended")
"""
    found = at.python("-c", code)
    held("ended" in found.out and "taken" not in found.out and not found.err, found.line())


# --- what endpoints and the hub send


@attempt("foreign values", "endpoint")
def waits_without_measure(at: Ground) -> None:
    """Retry-After of 1e400, nan, 400 digits, or a date of the year 99999"""
    code = """
from flowbot.lm.http_faults import LONGEST_ASKED, json_object, retry_after_seconds, read_error
for text in ("1e400", "nan", "-5", "9" * 400, "Fri, 31 Dec 99999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "x" * 100000):
    for name in ("Retry-After", "Retry-After-Ms"):
        found = retry_after_seconds({name: text})
        assert found is None or 0 <= found <= LONGEST_ASKED, (name, text[:40], found)
assert json_object('{"error": ' + "[" * 900 + "]" * 900 + "}") is None
read_error('{"error": {"message": ' + "[" * 900 + "]" * 900 + "}}")
print("ended")
"""
    found = at.python("-c", code)
    held("ended" in found.out and not found.err, found.line())


@attempt("foreign values", "model reply", slow=True)
def a_reply_of_deep_json(at: Ground) -> None:
    """a model replies with JSON of nine hundred levels where an object is wanted, and as a tool's arguments"""
    deep = '{"a":' * 900 + "1" + "}" * 900
    flow = {
        "flowbot": 1, "inputs": {"word": "str"}, "outputs": {"count": "a.count"},
        "nodes": {"a": {"kind": "llm", "in": {"word": "word"}, "out": {"count": "object", "n": "int"}}},
        "parameters": {"a": {"instruction": "x"}},
    }  # fmt: skip
    for text in (f'{{"count": {deep}, "n": 1}}', f'{{"count": {{}}, "n": {DIGITS}}}', f'{{"count": {DEEP}, "n": 1}}'):

        def answer(_: Asked, text: str = text) -> Any:
            return completion(text)

        with Endpoint(answer) as endpoint:
            found = at.flowbot(
                "run", at.write("d.flow.yaml", flow), "word=a", "--model", "openai/m", **endpoint.environment
            )
        held(found.status == 1 and "Traceback" not in found.said and "unexpected" not in found.said, found.line())


@attempt("foreign values", "data file", slow=True)
def recorded_lines_of_no_kind(at: Ground) -> None:
    """a file of recorded replies whose requests and replies are of other kinds"""
    asked = {"messages": [{"role": "user", "content": "x"}]}
    for line in (
        {"request": {}, "reply": _reply()}, {"request": asked, "reply": []}, {"request": asked, "reply": _reply(usd="x")},
        {"request": {"messages": [{"role": 1, "content": []}]}, "reply": _reply()}, [],
    ):  # fmt: skip
        at.write("r.jsonl", json.dumps(line) + "\n")
        found = at.flowbot("run", at.flow(), "word=a", "--model", "recorded/r.jsonl")
        one_line(found, "r.jsonl:1")
    at.write("r.jsonl", DEEP + "\n")
    one_line(at.flowbot("run", at.flow(), "word=a", "--model", "recorded/r.jsonl"), "r.jsonl:1")
