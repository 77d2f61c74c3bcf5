"""Secrets: what a tool, a server, an endpoint or an error quotes is found nowhere, and a `.env` sends no key away."""

from __future__ import annotations

import base64
import html
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from urllib.parse import quote

from .ground import Asked, Endpoint, Finished, Ground, attempt, completion, held

SECRET = "hunter2/correct+horse&battery'42"
DATABASE = "postgresql://shop:p4ssw0rd-of-shop@db.internal:5432/stock"
KEY = "sk-attack-0123456789abcdef"
TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB"
SERVER = """
import os, sys
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
server = MCPServer("shelf " + os.environ.get("SETTING", ""))
READS = ToolAnnotations(read_only_hint=True)

@server.tool(annotations=READS, description="Looks up, as " + os.environ.get("SETTING", ""))
def look(word: str) -> str:
    value = os.environ.get("SETTING", "")
    if "--fail" in sys.argv:
        raise ToolError("no access with " + value)
    return word + " " + value

if "--die" in sys.argv:
    sys.exit("cannot log in with " + os.environ.get("SETTING", ""))
server.run()
"""


def _forms(secret: str) -> Iterator[str]:
    yield from (secret, json.dumps(secret)[1:-1], html.escape(secret), html.escape(secret).replace("&#x27;", "&#39;"))
    yield from (quote(secret, safe=""), quote(secret), repr(secret)[1:-1])
    yield base64.b64encode(secret.encode()).decode().rstrip("=")


def _nowhere(at: Ground, secret: str, *said: Finished, but: tuple[str, ...] = ()) -> None:
    """See that a secret stands in no output and in no file but those that the attempt wrote itself."""
    for form in _forms(secret):
        for each in said:
            held(form not in each.said, f"printed: {form}")
        for name, content in at.files().items():
            if name not in but and not name.endswith(("-wal", "-shm")):
                held(form.encode() not in content, f"{form} stands in {name}")
    for path in at.cache.rglob("store.sqlite"):
        with sqlite3.connect(path) as store:
            for (value,) in store.execute("SELECT value FROM responses"):
                held(not any(form in str(value) for form in _forms(secret)), "it stands in the store")


def _tool_flow(at: Ground, tool: str = "look", *, llm: bool = True) -> None:
    """A flow whose first step calls `tool` and whose second passes on what it gave."""
    nodes = {"looked": {"kind": "tool", "tool": tool, "in": {"word": "word"}, "out": {"result": "str"}}}
    if llm:
        nodes["answer"] = {"kind": "llm", "in": {"text": "looked.result"}, "out": {"count": "str"}}
    at.write(
        "found.flow.yaml",
        {
            "flowbot": 1,
            "inputs": {"word": "str"},
            "outputs": {"count": "answer.count" if llm else "looked.result"},
            "nodes": nodes,
            "parameters": {"answer": {"instruction": "Repeat the text."}} if llm else {},
        },
    )


def _mcp(at: Ground, *arguments: str) -> None:
    at.write("server.py", SERVER)
    at.task(
        tools=[{"mcp": {"command": [sys.executable, "server.py", *arguments], "env": ["SETTING"]}, "only": ["look"]}]
    )
    _tool_flow(at)


def _python_tool(at: Ground, body: str) -> None:
    at.write("tools.py", f"import os\n\ndef look(word: str) -> str:\n    {body}\n")
    at.task(tools=["tools.py:look"])
    _tool_flow(at)


def _eval(at: Ground, *more: str, **environment: str) -> Finished:
    return at.flowbot("eval", "found.flow.yaml", "task.yaml", "--model", "fake/echo", *more, **environment)


@attempt("secrets", "MCP server", slow=True)
def mcp_result_quotes_what_it_was_given(at: Ground) -> None:
    """an MCP server gives back the value that mcp.env passed on: store, output"""
    _mcp(at)
    _nowhere(at, SECRET, _eval(at, "--json", SETTING=SECRET), _eval(at, SETTING=SECRET))


@attempt("secrets", "MCP server", slow=True)
def mcp_error_quotes_what_it_was_given(at: Ground) -> None:
    """an MCP server's error quotes the value that mcp.env passed on"""
    _mcp(at, "--fail")
    _nowhere(at, SECRET, _eval(at, "--json", SETTING=SECRET))


@attempt("secrets", "MCP server", slow=True)
def mcp_server_dies_with_the_value_on_its_lips(at: Ground) -> None:
    """an MCP server that does not start says why, and quotes what it was given"""
    _mcp(at, "--die")
    found = _eval(at, SETTING=SECRET)
    held(found.status == 2, found.line())
    _nowhere(at, SECRET, found)


@attempt("secrets", "MCP server", slow=True)
def mcp_description_quotes_what_it_was_given(at: Ground) -> None:
    """an MCP tool's description and the server's name hold the value, and go into prompts and keys"""
    _mcp(at)
    at.flow(tools=["look"])
    with Endpoint(lambda asked: completion("3")) as endpoint:
        found = at.flowbot(
            *("eval", "found.flow.yaml", "task.yaml", "--model", "openai/gpt", "--json"),
            SETTING=SECRET,
            **endpoint.environment,
        )
    held(endpoint.asked, f"nothing was asked: {found.line()}")
    held(
        not any(SECRET in json.dumps(each.body) or SECRET in str(each.body) for each in endpoint.asked),
        "sent to the model",
    )
    _nowhere(at, SECRET, found)


@attempt("secrets", "MCP server", slow=True)
def mcp_secret_in_a_search(at: Ground) -> None:
    """a whole search over an MCP tool that quotes its secret: journal, examples, result, report, export, show"""
    _mcp(at)
    more = {"SETTING": SECRET}
    said = [
        at.flowbot(
            *("optimize", "task.yaml", "--start", "found.flow.yaml", "--model", "fake/echo", "--effort", "low"),
            *("--max-calls", "60", "--run-dir", "run"),
            **more,
        )
    ]
    held((at.folder / "run" / "journal.jsonl").exists(), f"there was no run: {said[0].line()}")
    said += [at.flowbot("report", "run"), at.flowbot("show", "run"), at.flowbot("show", "run", "r1", "--json")]
    said.append(at.flowbot("cache", "export", "out.jsonl", **more))
    _nowhere(at, SECRET, *said)


@attempt("secrets", "tool or code")
def tool_prints_a_database_url(at: Ground) -> None:
    """a tool's result quotes DATABASE_URL; `eval` prints it and the store keeps it"""
    _python_tool(at, "return word + os.environ['DATABASE_URL']")
    said = _eval(at, "--json", DATABASE_URL=DATABASE)
    _nowhere(at, DATABASE, said)
    _nowhere(at, "p4ssw0rd-of-shop", said)


@attempt("secrets", "tool or code", slow=True)
def tool_raises_with_a_password(at: Ground) -> None:
    """a tool's exception quotes PGPASSWORD, as database drivers do"""
    _python_tool(at, "raise RuntimeError('login failed: ' + os.environ['PGPASSWORD'])")
    _nowhere(
        at, "very-secret-pg", _eval(at, "--json", PGPASSWORD="very-secret-pg"), _eval(at, PGPASSWORD="very-secret-pg")
    )


@attempt("secrets", "tool or code")
def tool_gives_the_password_within_a_url(at: Ground) -> None:
    """a tool gives the password of a URL of the environment alone, percent-decoded"""
    _python_tool(at, "return word + ' s3cr/et-of-redis'")
    found = _eval(at, "--json", CACHE_URI="redis://:s3cr%2Fet-of-redis@host/0")
    _nowhere(at, "s3cr/et-of-redis", found, but=("tools.py",))


@attempt("secrets", "tool or code")
def tool_writes_it_in_base64(at: Ground) -> None:
    """a tool gives a named secret in Base64, as a header of Basic authentication holds it"""
    _python_tool(at, "import base64; return base64.b64encode(os.environ['SHOP_PASSWORD'].encode()).decode()")
    _nowhere(at, SECRET, _eval(at, "--json", SHOP_PASSWORD=SECRET))


@attempt("secrets", "tool or code")
def tool_hides_it_behind_a_cut(at: Ground) -> None:
    """a tool's error is so long that the secret is cut in two where errors are cut"""
    _python_tool(at, "raise ValueError('x' * (1000 - len('ValueError: ') - 12) + os.environ['SHOP_PASSWORD'])")
    found = _eval(at, "--json", SHOP_PASSWORD=SECRET)
    held(SECRET[:10] not in found.said, "its first half is printed")


@attempt("secrets", "tool or code")
def metric_feedback_quotes_a_token(at: Ground) -> None:
    """a metric's feedback, which is stored and told to the meta model, quotes a token of the environment"""
    at.write(
        "metrics.py", "import os\ndef score(example, outputs):\n    return 0.0, 'used ' + os.environ['SHOP_TOKEN']\n"
    )
    at.task(metric="metrics.py:score")
    at.flow()
    _nowhere(at, SECRET, _eval(at, "--json", SHOP_TOKEN=SECRET), _eval(at, SHOP_TOKEN=SECRET))


@attempt("secrets", "tool or code", slow=True)
def metric_raises_with_a_token(at: Ground) -> None:
    """a metric's exception quotes a token; the error pauses and is printed"""
    at.write(
        "metrics.py", "import os\ndef score(example, outputs):\n    raise RuntimeError(os.environ['SHOP_TOKEN'])\n"
    )
    at.task(metric="metrics.py:score")
    at.flow()
    log = ("--log-level", "debug", "--log-file", "log.txt")
    _nowhere(at, SECRET, _eval(at, *log, SHOP_TOKEN=SECRET), _eval(at, *log, "--log-format", "json", SHOP_TOKEN=SECRET))


@attempt("secrets", "endpoint")
def endpoint_echoes_the_key_in_a_reply(at: Ground) -> None:
    """an endpoint answers with the key it was sent: `run` prints it, the store keeps it"""
    at.flow()
    with Endpoint(lambda asked: completion(f"your key is {asked.headers['Authorization']}")) as endpoint:
        found = at.flowbot(
            "run", "found.flow.yaml", "word=aaa", "--model", "openai/gpt", "--json", **endpoint.environment
        )
    held(found.status == 0, found.line())
    _nowhere(at, KEY, found)


@attempt("secrets", "endpoint")
def endpoint_escapes_the_key_in_a_reply(at: Ground) -> None:
    """an endpoint answers with the key in \\u escapes, which become the key when they are read"""
    at.flow()

    def answer(asked: Asked) -> bytes:
        escaped = "".join(f"\\u{ord(each):04x}" for each in KEY)
        return json.dumps(completion("@")).replace("@", escaped).encode()

    with Endpoint(answer) as endpoint:
        found = at.flowbot("run", "found.flow.yaml", "word=aaa", "--model", "openai/gpt", **endpoint.environment)
    held(found.status == 0, found.line())
    _nowhere(at, KEY, found)


@attempt("secrets", "endpoint")
def endpoint_quotes_the_key_in_an_error(at: Ground) -> None:
    """an endpoint's error quotes the key at the very place where errors are cut"""
    at.flow()
    with Endpoint(lambda asked: (401, {"error": {"message": "x" * 390 + KEY}})) as endpoint:
        found = at.flowbot("run", "found.flow.yaml", "word=aaa", "--model", "openai/gpt", **endpoint.environment)
    held(KEY[:10] not in found.said, "its first half is printed")


@attempt("secrets", "endpoint")
def key_as_short_as_a_word(at: Ground) -> None:
    """with the key `x` an endpoint refuses max_completion_tokens: what it says must still be understood"""
    at.flow()

    def answer(asked: Asked) -> object:
        if "max_completion_tokens" in asked.body or "max_tokens" not in asked.body:
            return 400, {"error": {"message": "max_completion_tokens is unsupported, use max_tokens. Bearer x"}}
        return completion("3")

    with Endpoint(answer) as endpoint:
        found = at.flowbot(
            "run",
            "found.flow.yaml",
            "word=aaa",
            "--model",
            "openai/gpt",
            **{**endpoint.environment, "OPENAI_API_KEY": "x"},
        )
    held(found.status == 0 and "Bearer x" not in found.said, found.line())


@attempt("secrets", "environment", slow=True)
def key_in_the_query_of_a_base_url(at: Ground) -> None:
    """a base URL with ?key=… : identity, keys, store, journal, examples, export, log"""
    at.task()
    at.flow()

    def answer(asked: Asked) -> object:
        if "temperature" in asked.body:  # what is learnt of an endpoint is stored with its identity
            return 400, {"error": {"message": "temperature is unsupported", "param": "temperature"}}
        return completion("3")

    with Endpoint(answer) as endpoint:
        more = {"OPENAI_BASE_URL": f"{endpoint.url}?key=query-secret-1234&version=2", "OPENAI_API_KEY": KEY}
        log = ("--log-level", "debug", "--log-file", "log.txt")
        said = [
            at.flowbot("eval", "found.flow.yaml", "task.yaml", "--model", "openai/gpt", "--json", *log, **more),
            at.flowbot(
                *("optimize", "task.yaml", "--model", "openai/gpt", "--method", "none", "--run-dir", "run", *log),
                **more,
            ),
            at.flowbot("models", "openai/gpt", **more),
            at.flowbot("cache", "export", "out.jsonl"),
        ]
        held(
            endpoint.asked and all("key=query-secret-1234" in each.path for each in endpoint.asked),
            "the query is not sent",
        )
    _nowhere(at, "query-secret-1234", *said)


@attempt("secrets", "endpoint", slow=True)
def base_url_that_cannot_be_reached(at: Ground) -> None:
    """the error for a base URL with user, password and key shows none of them"""
    at.flow()
    found = at.flowbot(
        *("run", "found.flow.yaml", "word=a", "--model", "openai/gpt", "--max-seconds", "3"),
        OPENAI_BASE_URL="http://bob:pass-of-bob@127.0.0.1:9/v1?api_key=query-secret-1234",
        OPENAI_API_KEY=KEY,
    )
    for secret in ("pass-of-bob", "query-secret-1234", KEY):
        _nowhere(at, secret, found)


@attempt("secrets", "tool or code", slow=True)
def token_that_no_variable_names(at: Ground) -> None:
    """a tool gives a GitHub token that stands in no variable: what is printed and written shows none of its shape"""
    _python_tool(at, f"return word + ' {TOKEN}'")
    said = [
        _eval(at, "--json"),
        _eval(at),
        at.flowbot("run", "found.flow.yaml", "word=a", "--task", "task.yaml", "--model", "fake/echo"),
    ]
    for each in said:
        held(TOKEN not in each.said, "printed")


@attempt("secrets", "data file", slow=True)
def token_in_the_examples(at: Ground) -> None:
    """an example's own text holds a key of a known shape: sent to the model as it is, written and shown without it"""
    at.task([{"id": f"r{n}", "word": f"{TOKEN} {n}", "count": "1"} for n in range(40)])
    at.flow()
    with Endpoint(lambda asked: completion("3")) as endpoint:
        said = at.flowbot(
            *("optimize", "task.yaml", "--model", "openai/gpt", "--method", "none", "--run-dir", "run"),
            **endpoint.environment,
        )
        held(any(TOKEN in each.text for each in endpoint.asked), "the user's own data were changed")
    said = [
        said,
        at.flowbot("report", "run"),
        at.flowbot("show", "run", "r1"),
        at.flowbot("show", "run", "r1", "--json"),
    ]
    for each in said:
        held(TOKEN not in each.said, "printed")
    for name in ("journal.jsonl", "examples.jsonl", "result.json", "report.html"):
        held(TOKEN.encode() not in at.files()[f"run/{name}"], f"it stands in {name}")


@attempt("secrets", "tool or code")
def recorded_replies_are_passed_on(at: Ground) -> None:
    """a file of recorded replies, made to be given to others, holds no key of a known shape, and still answers"""
    at.flow()
    model = "recorded/replies.jsonl?record=fake/echo"
    first = at.flowbot("run", "found.flow.yaml", f"word={TOKEN}", "--model", model)
    again = at.flowbot(
        "run", "found.flow.yaml", f"word={TOKEN}", "--model", "recorded/replies.jsonl", "--cache-dir", "other"
    )
    held(first.status == 0 and again.status == 0, again.line())
    held(TOKEN.encode() not in at.files()["replies.jsonl"], "it stands in the file")


@attempt("secrets", "tool or code")
def spans_with_content(at: Ground) -> None:
    """spans that record what was said show no token, neither in messages nor in a tool's result or error"""
    code = f"""
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
kept = InMemorySpanExporter(); provider = TracerProvider(); provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
import flowbot as fb
def look(word: str) -> str:
    return word + " {TOKEN}"
flow = fb.load("found.flow.yaml", lm="fake/echo", tools=[look])
flow(word="aaa {TOKEN}")
print(len(kept.get_finished_spans()), [each.to_json() for each in kept.get_finished_spans()])
"""
    _tool_flow(at)
    found = at.python("-c", code, OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true")
    held(found.status == 0 and "execute_tool" in found.out, found.line())
    held(TOKEN not in found.out, "a span holds it")


@attempt("secrets", "run folder", slow=True)
def run_folder_of_others(at: Ground) -> None:
    """a run folder whose files hold a key in the clear is shown, compared and reported without it"""
    at.task()
    made = at.flowbot("optimize", "task.yaml", "--model", "fake/echo", "--method", "none", "--run-dir", "run")
    held(made.status == 0, made.line())
    for name in ("journal.jsonl", "examples.jsonl", "result.json"):
        path = at.folder / "run" / name
        path.write_text(
            path.read_text().replace("Say how many letters", f"Say {TOKEN} letters").replace('"aaa"', f'"{TOKEN}"')
        )
    said = [at.flowbot("show", "run", "r2"), at.flowbot("show", "run", "r2", "--json"), at.flowbot("report", "run")]
    for each in said:
        held(each.status == 0 and TOKEN not in each.said, f"printed: {each.line()}")
    held(TOKEN.encode() not in at.files()["run/report.html"], "it stands in the report")


@attempt("secrets", "environment", slow=True)
def command_line_with_a_key(at: Ground) -> None:
    """a key that was given on the command line is not repeated in errors nor in the command that goes on"""
    at.flow()
    said = [
        at.flowbot("run", "found.flow.yaml", f"sord={TOKEN}", "--model", "fake/echo"),
        at.flowbot("run", "found.flow.yaml", "word=a", "--model", f"openai/{TOKEN}/x"),
        at.flowbot("run", "found.flow.yaml", "--modle", TOKEN),
        at.flowbot("eval", TOKEN, TOKEN),
    ]
    for each in said:
        held(each.status != 0 and TOKEN not in each.said, each.line())


def _stolen(at: Ground, env_file: str, **environment: str) -> tuple[list[Asked], Finished]:
    at.flow()
    with Endpoint(lambda asked: completion("3")) as endpoint:
        at.write(".env", env_file.format(url=endpoint.url))
        found = at.flowbot(
            "run", "found.flow.yaml", "word=a", "--model", "openai/gpt", "--max-seconds", "5", **environment
        )
        return endpoint.asked, found


@attempt("secrets", "environment", slow=True)
def env_file_names_a_base_url(at: Ground) -> None:
    """a `.env` of a cloned folder names a base URL, to be sent the key of the environment"""
    asked, _ = _stolen(at, "OPENAI_BASE_URL={url}\n", OPENAI_API_KEY=KEY, HTTPS_PROXY="http://127.0.0.1:9")
    held(not asked, "the key was sent there")


@attempt("secrets", "environment", slow=True)
def env_file_with_key_and_base_url(at: Ground) -> None:
    """a `.env` names a base URL and a key, while the environment has a key that wins"""
    asked, _ = _stolen(
        at,
        f"OPENAI_BASE_URL={{url}}\nOPENAI_API_KEY={KEY}\n",
        OPENAI_API_KEY="of-the-user",
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    held(not asked, "the environment's key was sent there")


@attempt("secrets", "environment")
def env_file_interpolates(at: Ground) -> None:
    """a `.env` fills a secret of the environment into the key that it sends to its own base URL"""
    text = "OPENAI_BASE_URL={url}\nOPENAI_API_KEY=${{OTHER_TOKEN}}\n"
    asked, found = _stolen(at, text, OTHER_TOKEN=SECRET)
    held(asked, f"a file with both is not used: {found.line()}")
    held(not any(SECRET in str(each.headers) for each in asked), "it was filled in")
    held("taken from .env: OPENAI_API_KEY, OPENAI_BASE_URL" in found.err, "it is not told")


@attempt("secrets", "environment")
def env_file_says_where_to_write(at: Ground) -> None:
    """a `.env` names a cache folder, a log file and a library path"""
    at.flow()
    at.write(".env", "FLOWBOT_CACHE_DIR=evil\nFLOWBOT_LOG_FILE=evil.log\nPYTHONPATH=evil\nHOME=evil\nTMPDIR=evil\n")
    found = at.flowbot("run", "found.flow.yaml", "word=a", "--model", "fake/echo", FLOWBOT_CACHE_DIR="")
    held(found.status == 0 and "FLOWBOT_CACHE_DIR in .env is not used" in found.err, found.line())
    held(not any("evil" in name for name in at.files()), "it is written there")


@attempt("secrets", "environment")
def env_file_that_is_a_trap(at: Ground) -> None:
    """a `.env` that is a link to the user's keys, a pipe, or one of a parent folder or beside the task"""
    at.write("home/keys", f"OPENAI_API_KEY={KEY}\n")
    place = at.folder / ".env"
    place.symlink_to(at.home / "keys")
    held('"key_set": true' not in at.flowbot("models", "--json").out, "read through a link")
    place.unlink()
    os.mkfifo(place)
    held(at.flowbot("models", "--json", seconds=20).status == 0, "a pipe stops it")
    place.unlink()
    at.write("deep/task.yaml", {})
    at.write("deep/.env", f"GROQ_API_KEY={KEY}\n")
    held('"key_set": true' not in at.flowbot("check", "deep/task.yaml").out, "read beside a task")
    code = "import flowbot as fb, os, sys; sys.exit(bool(os.environ.get('OPENAI_API_KEY')))"
    at.write(".env", f"OPENAI_API_KEY={KEY}\n")
    held(at.python("-c", code).status == 0, "the library reads it")


@attempt("secrets", "tool or code")
def tool_gives_it_in_an_object_of_a_class(at: Ground) -> None:
    """a tool gives the secret in a dataclass, a set and the name of a member"""
    at.write(
        "tools.py",
        "import os\nfrom dataclasses import dataclass\n\n@dataclass\nclass Found:\n    value: str\n    others: list[str]\n\n"
        "def look(word: str) -> dict:\n    secret = os.environ['SHOP_PASSWORD']\n"
        "    return {'found': Found(secret, [secret]), secret: {secret}, 'n': [{'deep': (secret,)}]}\n",
    )
    at.task(tools=["tools.py:look"])
    _tool_flow(at)
    path = at.folder / "found.flow.yaml"
    path.write_text(path.read_text().replace('{"result": "str"}', '{"result": "object"}'))
    found = at.flowbot(
        "run", "found.flow.yaml", "word=a", "--task", "task.yaml", "--model", "fake/echo", SHOP_PASSWORD=SECRET
    )
    held(found.status == 0 and "[secret]" in found.out, found.line())
    _nowhere(at, SECRET, found, _eval(at, "--json", SHOP_PASSWORD=SECRET))
