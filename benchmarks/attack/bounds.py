"""What comes back: values, errors, feedback, answers of servers and endpoints that are too large, too deep, late or no text."""

from __future__ import annotations

import json
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .ground import Asked, Endpoint, Escaped, Finished, Ground, attempt, completion, held

GROUP = "bounds"
TEXT = 4_000
STORE = 3_000_000
"""Bytes of a store of forty rows that hold nothing but texts of bounded length."""

LIAR = """
import json, os, signal, sys, time
how = sys.argv[1]
raw = lambda text: (sys.stdout.write(text), sys.stdout.flush())
say = lambda own, **more: raw(json.dumps({"jsonrpc": "2.0", "id": own, **more}) + "\\n")
schema = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
if how == "cycle":
    schema["properties"]["word"] = {"type": "array", "items": {"$ref": "#/properties/word"}}
if how == "labels":
    schema["properties"]["word"] = {"enum": [str(n) for n in range(60_000)]}
tool = {"name": "look", "description": "d" * 900_000 if how == "chatty" else "Look.", "inputSchema": schema,
        "annotations": {"readOnlyHint": True}}
calls = 0
if how == "stays":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for line in sys.stdin:
    asked = json.loads(line)
    method, own = asked["method"], asked.get("id")
    if method == "initialize":
        if how == "mute":
            time.sleep(600)
        while how == "endless line":
            raw("x" * 65_536)
        say(own, result={"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                         "serverInfo": {"name": "liar", "version": "1"}})
    elif method == "tools/list":
        say(own, result={"tools": [tool]})
    elif method == "ping":
        if how != "hung":
            say(own, result={})
    elif method == "tools/call":
        calls += 1
        text = "fine"
        if how == "hung":
            continue
        if how == "leaves" and calls == 3:
            os._exit(3)
        if how == "huge":
            head = '{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"' % own
            raw(head)
            for _ in range(3_000):
                raw("x" * 65_536)
            raw('"}]}}\\n')
            continue
        if how == "endless":
            raw('{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"\\\\ud800' % own)
            while True:
                raw("x" * 65_536)
        if how == "half":
            raw('{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"\\\\ud800"}]}}\\n' % own)
            continue
        if how == "lists":
            held = ",".join(["[]"] * 600_000)
            raw('{"jsonrpc":"2.0","id":%d,"result":{"content":[],"structuredContent":{"a":[%s]}}}\\n' % (own, held))
            continue
        if how == "notes":
            for _ in range(100_000):
                raw('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\\n')
        while how == "notes for ever":
            raw('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\\n')
        if how == "asks":
            for n in range(20_000):
                raw('{"jsonrpc":"2.0","id":"s%d","method":"sampling/createMessage","params":{}}\\n' % n)
        while how == "pings for ever":
            raw('{"jsonrpc":"2.0","id":"%s","method":"ping"}\\n{"jsonrpc":"2.0","id":999,"result":{}}\\n' % ("p" * 1_500_000))
        if how == "errors":
            for _ in range(2_000):
                sys.stderr.write("y" * 65_536)
        if how == "refuses":
            say(own, error={"code": -32000, "message": "e" * 1_500_000 + "\\u0000"})
            continue
        say(own, result={"content": [{"type": "text", "text": text}]})
    elif own is not None:
        say(own, error={"code": -32601, "message": "no such method"})
if how == "stays":
    time.sleep(600)
"""

CALLS = """
import asyncio, json, os, sys, time
from flowbot.runtime.tools import ToolRunner
from flowbot.runtime.toolbox import opened_tools
from flowbot.runtime.memo import Memo
from flowbot.runtime.toolbox import mcp, server
from flowbot.store import Store
from flowbot.task import MCPSource
mcp.SECONDS, server.START_SECONDS, mcp._PING_SECONDS = 2.0, 2.0, 1.0
source = MCPSource(only={"look": "look"}, **json.loads(sys.argv[1]))
async def main():
    memo, told, late = Memo(Store.memory()), [], 0.0
    async def watch():
        nonlocal late
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            late = max(late, time.monotonic() - began)
    watching = asyncio.create_task(watch())
    try:
        async with opened_tools([source]) as tools:
            told.append(tools["look"].signature.about)
            for word in ("a", "b"):
                try:
                    told.append(str(await ToolRunner(tools, memo).call("look", {"word": word})))
                except Exception as error:
                    told.append(f"{type(error).__name__}: {error}")
    except Exception as error:
        told.append(f"{type(error).__name__}: {error}")
    watching.cancel()
    stored = len(await memo.store.items("tool"))
    memory = int(open("/proc/self/statm").read().split()[1]) * 4096
    peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps({"told": told, "late": late, "stored": stored, "memory": memory, "peak": peak}))
asyncio.run(main())
"""

TOOL = """
import asyncio, json, sys
from flowbot.runtime.tools import ToolRunner
from flowbot.task import tool_of
def spoken(text: str) -> str:
    "Speak."
    {body}
async def main():
    try:
        print(json.dumps(await ToolRunner({"spoken": tool_of(spoken)}, None, seconds=2.0).call("spoken", {"text": "a"})))
    except Exception as error:
        print(json.dumps(f"{type(error).__name__}: {error}"))
asyncio.run(main())
"""


def of_liar(at: Ground, how: str, *, seconds: float = 60.0) -> dict[str, Any]:
    """What two calls of a lying server's tool came to: what was told, how long the event loop stood still, what is stored."""
    at.write("liar.py", LIAR)
    source = {"command": [sys.executable, str(at.folder / "liar.py"), how]}
    return of_calls(at, source, seconds=seconds)


def of_calls(at: Ground, source: dict[str, Any], *, seconds: float = 60.0) -> dict[str, Any]:
    """See `of_liar`."""
    found = at.python("-c", CALLS, json.dumps(source), seconds=seconds)
    if not found.out.startswith("{"):
        raise Escaped(f"the calls end otherwise: {found.line()}")
    came = json.loads(found.out.strip().splitlines()[-1])
    held(all(len(each) <= TEXT + 100 for each in came["told"]), "a text of a server is not bounded")
    return came


def of_tool(at: Ground, body: str) -> str:
    """What a call of a user's function that does this came to."""
    code = TOOL.replace("{body}", body.replace("\n", "\n    "))
    found = at.python("-c", code, seconds=30.0)
    held(found.status == 0 and found.out, f"the call ends otherwise: {found.line()}")
    return str(json.loads(found.out.strip().splitlines()[-1]))


def eval_of_code(at: Ground, code: str, *, out: str = "str") -> Finished:
    """A task of forty rows whose flow is one code step, evaluated."""
    flow = {
        "flowbot": 1,
        "inputs": {"word": "str"},
        "outputs": {"count": "answer.count"},
        "nodes": {"answer": {"kind": "code", "in": {"word": "word"}, "out": {"count": out}}},
        "parameters": {"answer": {"code": code}},
    }
    rows = [{"id": f"r{n}", "word": f"a{n}", "count": {"n": n} if out == "object" else str(n)} for n in range(40)]
    task = at.task(rows, outputs={"count": out})
    return at.flowbot("eval", at.write("code.flow.yaml", flow), task, "--split", "train", "--json")


def eval_with_metric(at: Ground, code: str) -> Finished:
    """A task whose metric is the user's own, evaluated with a model that echoes."""
    at.write("metrics.py", code)
    task = at.task(metric="metrics.py:score")
    return at.flowbot("eval", at.flow(), task, "--split", "train", "--model", "fake/echo", "--json")


def is_small(at: Ground, found: Finished, *, status: int = 0) -> None:
    """The command ended with that status, and neither its result nor the store is large."""
    held(found.status == status and "unexpected" not in found.said, f"status {found.status}: {found.line()}")
    held(len(found.out) < STORE, f"{len(found.out):,} bytes of JSON are printed")
    size = sum(len(content) for name, content in at.files().items() if name.startswith("cache/"))
    held(size < STORE, f"{size:,} bytes lie in the cache")


def is_step(said: str) -> None:
    """A step that failed, told in a text of bounded length."""
    held(said.startswith("StepError: "), f"it is not a step that failed: {said[:200]}")
    held(len(said) <= TEXT + 20, f"{len(said):,} characters are told")
    held(said == said.encode("utf-8", "replace").decode(), "half a pair is told")


@attempt(GROUP, "tool or code", slow=True)
def code_error_of_20_million_characters(at: Ground) -> None:
    """a code step raises an error of 20 MB on every example"""
    found = eval_of_code(
        at, "def run(word):\n    if word:\n        raise ValueError(word + 'x' * 20_000_000)\n    return {'count': ''}"
    )
    is_small(at, found)


@attempt(GROUP, "tool or code")
def code_error_whose_source_line_is_long(at: Ground) -> None:
    """a code step fails in a line of 7,900 characters, which is quoted"""
    found = eval_of_code(
        at, f"def run(word):\n    if word: raise ValueError('{'z' * 7_900}')\n    return {{'count': ''}}"
    )
    is_small(at, found)
    held("ValueError: zzz" in found.out, "the code was not reached")


@attempt(GROUP, "tool or code", slow=True)
def code_result_of_whole_numbers_of_4096_bits(at: Ground) -> None:
    """a code step gives 20,000 numbers of 1,233 digits, each counted as one number"""
    code = "def run(word):\n    return {'count': {'n': [2 ** 4095 for _ in range(20_000)]}}"
    found = eval_of_code(at, code, out="object")
    is_small(at, found)
    held("result.count.n" in found.out, "the code was not reached")


@attempt(GROUP, "tool or code")
def code_result_of_empty_lists(at: Ground) -> None:
    """a result of a million empty lists holds the event loop up"""
    code = """
import time
from flowbot.runtime.jsonlike import to_json
from flowbot.fields import StepError
given = [[] for _ in range(900_000)]
began = time.monotonic()
try:
    to_json(given)
except StepError as error:
    print(error)
print(time.monotonic() - began)
"""
    found = at.python("-c", code)
    held(float(found.out.split()[-1]) < 1.5, f"it takes {found.out.split()[-1]} s")


@attempt(GROUP, "tool or code")
def code_result_of_millions_of_small_numbers(at: Ground) -> None:
    """a result of five million ones: each is small, and all are 15 MB"""
    found = at.python("-c", "from flowbot.runtime.jsonlike import to_json; to_json([1] * 5_000_000)")
    held("larger than 1,000,000 bytes" in found.said, "it is taken")


@attempt(GROUP, "tool or code")
def code_result_under_a_long_name(at: Ground) -> None:
    """each of 50,000 values is placed under a name of 400,000 characters, which is copied for each; one is no JSON"""
    said = of_tool(at, "return {'k' * 400_000: [1] * 50_000 + [b'x']}")
    is_step(said)
    held(len(said) < 1_000, f"{len(said):,} characters are told")


@attempt(GROUP, "tool or code")
def script_error_of_20_million_characters(at: Ground) -> None:
    """the Python interpreter's script raises an error of 20 MB: it is an output, and stored"""
    code = """
import asyncio
from flowbot.runtime.tools import ToolRunner
from flowbot.runtime.toolbox import opened_tools
from flowbot.task import PythonSource
async def main():
    async with opened_tools([PythonSource()]) as tools:
        found, _ = await ToolRunner(tools, None).call("python", {"code": "raise ValueError('x' * 20_000_000)"})
        print(len(found["error"]))
asyncio.run(main())
"""
    found = at.python("-c", code)
    held(found.status == 0 and int(found.out) <= TEXT, f"it comes to {found.line()}")


@attempt(GROUP, "tool or code")
def tool_error_of_20_million_characters(at: Ground) -> None:
    """a tool raises an error of 20 MB"""
    is_step(of_tool(at, "raise ValueError('x' * 20_000_000)"))


@attempt(GROUP, "tool or code")
def tool_error_with_half_a_pair_and_nul(at: Ground) -> None:
    """a tool's error holds half a surrogate pair, NUL and an escape"""
    said = of_tool(at, "raise ValueError('\\ud800\\x00\\x1b[2J')")
    is_step(said)
    held("\x00" not in said and "\x1b" not in said, "control characters are told")


@attempt(GROUP, "tool or code", slow=True)
def tool_error_that_takes_its_time(at: Ground) -> None:
    """a tool raises an error whose text takes an hour to say, on the event loop"""
    said = of_tool(at, "import time\nclass Slow(Exception):\n    def __str__(self): time.sleep(3600)\nraise Slow()")
    is_step(said)


@attempt(GROUP, "tool or code")
def tool_error_that_cannot_be_told(at: Ground) -> None:
    """a tool raises an error whose text raises SystemExit, of a class with a name of a million characters"""
    said = of_tool(
        at, "import sys\nraise type('E' * 1_000_000, (Exception,), {'__str__': lambda self: sys.exit(3)})('x')"
    )
    is_step(said)


@attempt(GROUP, "tool or code", slow=True)
def tool_results_that_json_cannot_hold(at: Ground) -> None:
    """a tool gives a list that holds itself, one of great depth, NaN, half a pair, a key that is no text, a vast number"""
    bodies = (
        "a = []\na.append(a)\nreturn a",
        "a = []\nfor _ in range(100_000):\n    a = [a]\nreturn a",
        "return float('nan')",
        "return '\\ud800'",
        "return {(1, 2): 3}",
        "return {10 ** 5000: 1}",
        "return 10 ** 5000",
        "return {'\\ud800' * 200_000: 1}",
    )
    for body in bodies:
        is_step(of_tool(at, body))


@attempt(GROUP, "tool or code")
def metric_feedback_of_20_million_characters(at: Ground) -> None:
    """a metric gives feedback of 20 MB on every example"""
    found = eval_with_metric(at, "def score(example, outputs):\n    return 0.0, 'x' * 20_000_000\n")
    is_small(at, found)


@attempt(GROUP, "tool or code")
def metric_error_with_half_a_pair(at: Ground) -> None:
    """a metric's error holds half a surrogate pair"""
    found = eval_with_metric(at, "def score(example, outputs):\n    raise ValueError('bad \\ud800 text')\n")
    held("unexpected" not in found.said, found.line())
    held("bad" in found.said, f"the error is not told: {found.line()}")


@attempt(GROUP, "tool or code")
def metric_error_that_cannot_be_told(at: Ground) -> None:
    """a metric's error cannot say its text"""
    code = "class Mute(Exception):\n    def __str__(self): return 1 / 0\ndef score(example, outputs):\n    raise Mute('x')\n"
    found = eval_with_metric(at, code)
    held("unexpected" not in found.said and "Mute" in found.said, found.line())


@attempt(GROUP, "tool or code", slow=True)
def metric_with_a_million_parts(at: Ground) -> None:
    """a metric gives 100,000 parts, with names of half a pair"""
    code = "def score(example, outputs):\n    return {'score': 0.5, 'parts': {f'\\ud800{n}': 0.5 for n in range(100_000)}}\n"
    found = eval_with_metric(at, code)
    is_small(at, found, status=3)
    held("100,000" in found.said, f"the parts are not what is wrong: {found.line()}")


@attempt(GROUP, "tool or code", slow=True)
def metric_score_of_other_types(at: Ground) -> None:
    """a metric gives a score of 400 digits, feedback that is no text, and a score that is NaN"""
    import_score = "from flowbot.fields import Score\ndef score(example, outputs):\n    return "
    for returned in (
        "10 ** 400",
        "Score(0.5, ['x' * 100])",
        "float('nan')",
        "Score(1.0, '\\ud800' * 9)",
        "(0.5, b'x')",
    ):
        found = eval_with_metric(at, import_score + returned + "\n")
        held("unexpected" not in found.said, f"{returned}: {found.line()}")


def asked_in_sql(at: Ground, query: str, *, seconds: float = 60.0) -> str:
    """What a query of a small database comes to, and how long it took."""
    code = """
import asyncio, json, sqlite3, sys, time
from pathlib import Path
from flowbot.runtime.toolbox import sql
with sqlite3.connect("shop.sqlite") as made:
    made.execute("CREATE TABLE IF NOT EXISTS t (a, b)")
made.close()
sql.SECONDS = 1.0
began = time.monotonic()
try:
    said = sql.answer(Path("shop.sqlite"), json.loads(sys.argv[1]))
except Exception as error:
    said = f"{type(error).__name__}: {error}"
memory = int(open("/proc/self/statm").read().split()[1]) * 4096
print(json.dumps([said, time.monotonic() - began, memory]))
"""
    found = at.python("-c", code, json.dumps(query), seconds=seconds)
    held(found.out, f"the query ends otherwise: {found.line()}")
    said, took, memory = json.loads(found.out)
    held(took < 4.0, f"it takes {took:.1f} s where one is allowed")
    held(memory < 300_000_000, f"{memory:,} bytes of memory are held")
    return str(said)


@attempt(GROUP, "model reply")
def sql_prints_one_character_a_billion_times(at: Ground) -> None:
    """SELECT printf('%.*c', 300000000, 'x') stays in one step of SQLite's for a long time"""
    asked_in_sql(at, "SELECT printf('%.*c', 300000000, 'x')", seconds=20.0)
    asked_in_sql(at, "SELECT format('%.2c %.300000000c', 'a', 'x')", seconds=20.0)
    asked_in_sql(at, "SELECT format('%.*c', '300000000', 'x')", seconds=20.0)
    asked_in_sql(at, "SELECT printf('%.*c%.*c', -2147483600, 'x', -2147483600, 'x')", seconds=40.0)
    asked_in_sql(at, "SELECT printf(replace(hex(zeroblob(12000)), '00', '%.99999c'), 'x')", seconds=20.0)


@attempt(GROUP, "model reply")
def sql_takes_many_characters_away(at: Ground) -> None:
    """SELECT trim(long, long), which compares each character with each, forty times in one step"""
    text = "replace(hex(zeroblob(45000)), '00', 'ab')"
    away = "(replace(hex(zeroblob(5000)), '00', 'c') || 'ab')"
    asked_in_sql(at, f"SELECT {', '.join([f'length(trim({text}, {away}))'] * 40)}")


@attempt(GROUP, "model reply")
def sql_gives_wide_rows(at: Ground) -> None:
    """a hundred rows of two thousand values of 90,000 characters each"""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n), x(v) AS (SELECT hex(zeroblob(45000)))"
    said = asked_in_sql(at, f"{numbers} SELECT {', '.join(['v || i'] * 1900)} FROM n, x LIMIT 101")
    held(len(said) < 60_000, f"{len(said):,} characters are given")


@attempt(GROUP, "model reply", slow=True)
def sql_does_other_things_than_read(at: Ground) -> None:
    """ATTACH, PRAGMA, load_extension, writefile, VACUUM INTO, a second statement, half a pair"""
    for query in (
        "ATTACH 'other.sqlite' AS o",
        "PRAGMA journal_mode = WAL",
        "SELECT load_extension('x')",
        "SELECT writefile('spoilt', 'x')",
        "VACUUM INTO 'spoilt'",
        "SELECT 1; DROP TABLE t",
        "INSERT INTO t VALUES (1, 2)",
        "SELECT '\ud800'",
    ):
        said = asked_in_sql(at, query)
        held(said.startswith("StepError"), f"{query!r}: {said[:100]}")
    held(not {"spoilt", "other.sqlite"} & set(at.files()), "a file is written")


@attempt(GROUP, "model reply")
def arithmetic_that_does_not_end(at: Ground) -> None:
    """the calculator is asked for towers of powers, factorials and long lines"""
    code = """
import sys, time
from flowbot.runtime.toolbox.calculator import calculate
from flowbot.fields import StepError
began = time.monotonic()
for text in ("9**9**9", "factorial(10**9)", "(1+1/7)**(10**9)", "-" * 990 + "1", "1e999999999", "gcd(" + "9" * 990 + ")",
             "2**-(10**9)", "0**-1", "round(1/3, 10**9)", "factorial(" * 90 + "3" + ")" * 90, "9" * 5000, "\\ud800"):
    try:
        calculate(text)
    except StepError as error:
        assert len(str(error)) < 1000
print(time.monotonic() - began)
"""
    found = at.python("-c", code)
    held(found.status == 0 and float(found.out) < 2, f"it comes to {found.line()}")


@attempt(GROUP, "MCP server", slow=True)
def server_answer_of_200_megabytes(at: Ground) -> None:
    """an MCP server's tool answers with 196 MB in one line"""
    came = of_liar(at, "huge")
    held(came["memory"] < 200_000_000, f"{came['memory']:,} bytes of memory are held")
    held(came["late"] < 1.5, f"the event loop stands still for {came['late']:.1f} s")


@attempt(GROUP, "MCP server", slow=True)
def server_answer_without_end(at: Ground) -> None:
    """an MCP server's answer never ends and begins with half a pair: no time-out is stored as the tool's result"""
    came = of_liar(at, "endless")
    held(came["stored"] == 0, f"{came['stored']} time-outs are stored as results: {came['told']}")
    held("InfrastructureError" in came["told"][-1], f"it is no fault of the infrastructure: {came['told'][-1][:200]}")
    held(came["memory"] < 200_000_000, f"{came['memory']:,} bytes of memory are held")


@attempt(GROUP, "MCP server", slow=True)
def server_line_without_end_before_it_is_there(at: Ground) -> None:
    """an MCP server writes one endless line instead of an introduction"""
    came = of_liar(at, "endless line")
    held("UserError" in came["told"][-1], f"it is told otherwise: {came['told'][-1][:200]}")
    held(came["memory"] < 200_000_000, f"{came['memory']:,} bytes of memory are held")


@attempt(GROUP, "MCP server")
def server_answer_with_half_a_pair(at: Ground) -> None:
    """an MCP server's answer holds half a pair, which is no time-out"""
    came = of_liar(at, "half")
    held("took longer" not in str(came["told"]), f"a time-out is made of it: {came['told'][-1][:200]}")


@attempt(GROUP, "MCP server")
def server_answer_of_600000_lists(at: Ground) -> None:
    """an MCP server's answer of 1.8 MB takes seconds to check, on the event loop"""
    came = of_liar(at, "lists")
    held(came["late"] < 1.5, f"the event loop stands still for {came['late']:.1f} s")


@attempt(GROUP, "MCP server", slow=True)
def server_that_never_introduces_itself(at: Ground) -> None:
    """an MCP server is silent"""
    came = of_liar(at, "mute", seconds=30.0)
    held("no answer within 2 s" in came["told"][-1], f"it is told otherwise: {came['told'][-1][:200]}")


@attempt(GROUP, "MCP server", slow=True)
def server_that_hangs_in_a_call(at: Ground) -> None:
    """an MCP server answers nothing any more: that is never a tool's result"""
    came = of_liar(at, "hung")
    held(came["stored"] == 0, f"{came['stored']} results are stored")
    held("InfrastructureError" in came["told"][-1], f"it is told otherwise: {came['told'][-1][:200]}")


@attempt(GROUP, "MCP server", slow=True)
def server_that_leaves_in_mid_run(at: Ground) -> None:
    """an MCP server ends at the third call of an evaluation: the run pauses, and the same command goes on"""
    at.write("liar.py", LIAR)
    flow = {
        "flowbot": 1,
        "inputs": {"word": "str"},
        "outputs": {"count": "answer.result"},
        "nodes": {"answer": {"kind": "tool", "tool": "look", "in": {"word": "word"}, "out": {"result": "str"}}},
    }
    task = at.task(tools=[{"mcp": {"command": [sys.executable, "liar.py", "leaves"]}, "only": ["look"]}])
    found = at.flowbot("eval", at.write("tool.flow.yaml", flow), task, "--split", "train", "--json")
    held(found.status == 3, f"it is no pause: {found.status} {found.line()}")
    held("liar" in found.said, f"the server is not named: {found.line()}")


@attempt(GROUP, "MCP server", slow=True)
def server_that_sends_notes(at: Ground) -> None:
    """an MCP server sends 100,000 notifications before it answers, and another sends them for ever"""
    came = of_liar(at, "notes")
    held(came["late"] < 1.5, f"the event loop stands still for {came['late']:.1f} s")
    came = of_liar(at, "notes for ever")
    held("InfrastructureError" in came["told"][-1] and not came["stored"], f"it is told otherwise: {came['told'][-1]}")


@attempt(GROUP, "MCP server", slow=True)
def server_that_asks_20000_times(at: Ground) -> None:
    """an MCP server asks us 20,000 things before it reads one answer"""
    came = of_liar(at, "asks", seconds=30.0)
    held(came["late"] < 1.5, f"the event loop stands still for {came['late']:.1f} s")


@attempt(GROUP, "MCP server", slow=True)
def server_that_asks_for_ever_and_reads_nothing(at: Ground) -> None:
    """an MCP server asks for ever under names of 1.5 MB, answers in between what nobody asked, and reads nothing"""
    came = of_liar(at, "pings for ever")
    held(came["peak"] < 200_000_000, f"{came['peak']:,} bytes of memory are held")
    held("InfrastructureError" in came["told"][-1] and not came["stored"], f"it is told otherwise: {came['told'][-1]}")


@attempt(GROUP, "MCP server")
def server_that_fills_its_error_stream(at: Ground) -> None:
    """an MCP server writes 131 MB on standard error in a call"""
    came = of_liar(at, "errors")
    held(came["memory"] < 200_000_000, f"{came['memory']:,} bytes of memory are held")
    held(not came["stored"] or "fine" in str(came["told"]), f"it is told otherwise: {came['told']}")


@attempt(GROUP, "MCP server", slow=True)
def server_that_describes_itself_at_length(at: Ground) -> None:
    """an MCP server's tool has a description of 900,000 characters, 60,000 labels, or a schema that holds itself"""
    for how in ("chatty", "labels", "cycle"):
        came = of_liar(at, how)
        held("RecursionError" not in str(came["told"]), f"{how}: {came['told'][-1][:200]}")


@attempt(GROUP, "MCP server")
def server_error_of_a_megabyte(at: Ground) -> None:
    """an MCP server's tool fails with a text of 1.5 MB and NUL"""
    came = of_liar(at, "refuses")
    held("StepError" in came["told"][-1] and "\x00" not in came["told"][-1], came["told"][-1][:200])


@attempt(GROUP, "MCP server", slow=True)
def server_that_does_not_want_to_end(at: Ground) -> None:
    """an MCP server heeds neither the end of its input nor SIGTERM"""
    of_liar(at, "stays")
    left = at.python(
        "-c", "import subprocess, sys; print(subprocess.run(['ps', 'axo', 'args'], capture_output=True).stdout)"
    )
    held(f"{at.folder}/liar.py" not in left.out, "its process is left")


class Far:
    """An MCP server over HTTP that answers a call of its tool as it is told."""

    def __init__(self, kind: str, pieces: list[bytes], *, forever: bool = False, coding: str = "identity") -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if "id" not in asked:
                    self.send_response(202)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                tool = {"name": "look", "inputSchema": {"type": "object", "properties": {"word": {"type": "string"}}}}
                found: dict[str, Any] = {
                    "initialize": {
                        "protocolVersion": "2025-06-18",
                        "capabilities": {"tools": {}},
                        "serverInfo": {"name": "far", "version": "1"},
                    },
                    "tools/list": {"tools": [{**tool, "annotations": {"readOnlyHint": True}}]},
                }
                own = {"jsonrpc": "2.0", "id": asked["id"]}
                if asked["method"] == "tools/call":
                    self.stream(pieces)
                elif asked["method"] in found:
                    self.say({**own, "result": found[asked["method"]]})
                else:
                    self.say({**own, "error": {"code": -32601, "message": "no such method"}})

            def say(self, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def stream(self, pieces: list[bytes]) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Encoding", coding)
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                try:
                    while True:
                        for piece in pieces:
                            self.wfile.write(piece)
                        if not forever:
                            return
                except OSError:
                    return  # whoever asked has left

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.source = {"url": f"http://127.0.0.1:{self._server.server_address[1]}/mcp"}

    def __enter__(self) -> Far:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@attempt(GROUP, "MCP server", slow=True)
def far_server_answer_of_200_megabytes(at: Ground) -> None:
    """an MCP server elsewhere answers a call with 200 MB of JSON"""
    with Far("application/json", [b'{"jsonrpc":"2.0","id":1,"x":"', *[b"x" * 1_000_000] * 200, b'"}']) as far:
        came = of_calls(at, far.source)
    held(came["memory"] < 200_000_000, f"{came['memory']:,} bytes of memory are held")
    held("ask for less" in came["told"][-1], f"it is told otherwise: {came['told'][-1][:200]}")


@attempt(GROUP, "MCP server", slow=True)
def far_server_event_without_end(at: Ground) -> None:
    """an MCP server elsewhere answers with one event without end, and with comments without end"""
    for piece in (b"data: " + b"x" * 65_536, b": " + b"x" * 65_536 + b"\n\n"):
        with Far("text/event-stream", [piece], forever=True) as far:
            came = of_calls(at, far.source)
        held(came["memory"] < 200_000_000, f"{came['memory']:,} bytes of memory are held")
        held("Error" in came["told"][-1], f"it is told otherwise: {came['told'][-1][:200]}")


@attempt(GROUP, "MCP server", slow=True)
def far_server_answer_that_is_packed(at: Ground) -> None:
    """an MCP server elsewhere packs a hundred events of 500,000 lists each into little, though nobody asked it to"""
    packer = zlib.compressobj(wbits=31)
    event = b'data: {"jsonrpc":"2.0","id":999,"result":{"a":[' + b"[]," * 500_000 + b"[]]}}\n\n"
    pieces = [packer.compress(event) for _ in range(100)] + [packer.flush()]
    for kind in ("application/json", "text/event-stream"):
        with Far(kind, pieces, coding="gzip") as far:
            came = of_calls(at, far.source)
        held(came["memory"] < 200_000_000, f"{came['memory']:,} bytes of memory are held")
        held(came["late"] < 1.5, f"the event loop stands still for {came['late']:.1f} s")
        held("ask for less" in came["told"][-1], f"it is told otherwise: {came['told'][-1][:200]}")


def run_against(at: Ground, body: Any, *, seconds: float = 60.0, status: int = 200) -> Finished:
    """One call of a model at an endpoint that answers so."""

    def answer(_: Asked) -> Any:
        return status, body

    flow = at.write(
        "two.flow.yaml",
        {
            "flowbot": 1,
            "inputs": {"word": "str"},
            "outputs": {"count": "answer.count", "why": "answer.why"},
            "nodes": {"answer": {"kind": "llm", "in": {"word": "word"}, "out": {"count": "int", "why": "str"}}},
            "parameters": {"answer": {"instruction": "Count the letters."}},
        },
    )
    with Endpoint(answer) as endpoint:
        return at.flowbot(
            "run", flow, "word=aaa", "--model", "openai/mock", "--price", "1,1", seconds=seconds,
            **endpoint.environment,
        )  # fmt: skip


@attempt(GROUP, "endpoint", slow=True)
def reply_of_30_megabytes(at: Ground) -> None:
    """an endpoint's reply has 30 MB of text"""
    found = run_against(at, completion("x" * 30_000_000), seconds=120.0)
    held("unexpected" not in found.said and len(found.said) < 20_000, found.line())
    size = sum(len(content) for name, content in at.files().items() if name.startswith("cache/"))
    held(size < 10_000_000, f"{size:,} bytes lie in the cache")


@attempt(GROUP, "endpoint")
def refusal_with_long_names(at: Ground) -> None:
    """an endpoint refuses with a code, a parameter and a message of hundreds of thousands of characters and half a pair"""
    error = {"message": "m\ud800" * 100_000, "code": "c" * 400_000, "param": "p" * 400_000}
    found = run_against(at, json.dumps({"error": error}).encode(), status=400)
    held("unexpected" not in found.said and len(found.said) < 20_000, f"{len(found.said):,}: {found.line()[:300]}")


@attempt(GROUP, "endpoint")
def refusal_that_is_nested_deep(at: Ground) -> None:
    """an endpoint's error is a message nested 900 deep"""
    deep: bytes = b'{"error":{"message":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}}"
    found = run_against(at, deep, status=400)
    held("unexpected" not in found.said, found.line())


@attempt(GROUP, "model reply")
def reply_of_a_fence_and_blank_lines(at: Ground) -> None:
    """a reply of ``` and 20,000 line breaks, for which a pattern takes for ever"""
    found = run_against(at, completion("```\n" + "\n" * 20_000 + "x", written=100), seconds=40.0)
    held("unexpected" not in found.said, found.line())


@attempt(GROUP, "model reply")
def reply_that_takes_long_to_mend(at: Ground) -> None:
    """a reply of braces and comments, which takes JSON's mending minutes"""
    found = run_against(at, completion("{//\n" * 20_000, written=100), seconds=15.0)
    held("unexpected" not in found.said, found.line())
