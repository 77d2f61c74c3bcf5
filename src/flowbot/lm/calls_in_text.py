"""Tool calls that a model wrote as text, because its endpoint did not read them out of its reply.

Every family of models has marks of its own around a call. What stands between them is of four kinds: a JSON object with name and
arguments, a name before a JSON object, XML, or Python. A text that holds the call of an offered tool is never the answer.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from flowbot.fields import ToolSignature
from flowbot.fields.yaml_core import MAX_DEPTH, deeper

from .client import ToolUse
from .mending import MOST_CHARACTERS, unfenced
from .native_tools import MOST_CALLS, argument_types
from .thoughts import without_thought

_MARK = re.compile(
    r"</?(?:minimax:)?(?:tool_calls?|tool-use|function_calls?|functioncall)>|<\|/?tool_calls?\|>|<\|python_tag\|>|\[TOOL_CALLS?\]"
    r"|<\|START_ACTION\|>|<\|action_start\|>|<｜tool▁calls?▁begin｜>|<\|tool_calls_section_begin\|>|<\|tool_call_begin\|>"
    r"|\bfunctools(?=\[)|```tool_(?:code|call)s?\b|(?=<(?:function[=(]|function name=|invoke name=))|^Action: *(?=\w[^\n]*\nAction Input:)"
    r"|\bto=(?=[\w.-]+[^\n]{0,80}<\|message\|>)",
    re.MULTILINE,
)
"""What begins a call, or parts two."""
_XML = re.compile(
    r"<(?:function[=(]|(?:function|invoke) name=)[\"']?([\w.-]+)[\"')]*\s*>?(.*?)(?:</(?:function|invoke)>|\Z)",
    re.DOTALL,
)
_XML_ARGUMENT = re.compile(
    r"<parameter(?:=| name=)[\"']?([\w.-]+)[\"']?[^>]*>(.*?)(?:</parameter>|(?=<parameter\b)|\Z)"
    r"|<arg_key>\s*(.*?)\s*</arg_key>\s*<arg_value>(.*?)(?:</arg_value>|\Z)",
    re.DOTALL,
)
_TOKEN = re.compile(r"<\|[^|<>]{1,40}\|>|<｜[^｜<>]{1,40}｜>|</?[\w:-]{1,40}>|\[/?[A-Z_]{3,20}\]|```\w*|Action Input:")
"""What else a model's own marks look like."""
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_BEGUN = re.compile(r"\s*(?:[\w.:-]+\s*)?[\[{(<]")
_MOST_WORDS = 3
"""Words before a call's arguments: its name, and what a dialect puts beside it; more are a sentence."""
_NAMES = ("name", "function", "tool", "tool_name", "recipient_name")
_ARGUMENTS = ("arguments", "parameters", "args", "tool_input", "input")
_CALLS = ("tool_calls", "tool_uses")


def split_calls(text: str, tools: Sequence[ToolSignature]) -> tuple[str, tuple[ToolUse, ...]]:
    """A reply's text and the calls in it: what is said before them, and the calls; the whole text and () if there are none.

    A call of a known form that cannot be read has the name "". Without marks only a reply that is nothing else is a call.
    """
    shown = text if "<|message|>" in text else without_thought(text)
    shown = shown.replace("｜DSML｜", "")
    marked = _MARK.search(shown)
    if marked is None:
        return (text, ()) if not (bare := _bare(shown, tools)) else ("", bare)
    said, rest = shown[: marked.start()], shown[marked.start() :]
    marks = list(_MARK.finditer(rest))
    ends = [mark.start() for mark in marks[1:]] + [len(rest)]
    bodies = [
        (rest[mark.end() : end], rest.startswith("</", end))
        for mark, end in zip(marks, ends, strict=True)
        if not mark[0].startswith("</")
    ]
    uses = [use for body, closed in bodies for use in _read(body, tools, closed=closed)][:MOST_CALLS]
    if any(_offered(use.name, tools) for use in uses) or (uses and not said.strip()):
        return without_thought(said), tuple(uses)
    named = any(re.search(rf"\b{re.escape(tool.name)}\b", rest) for tool in tools)
    if (named or not said.strip()) and any(_BEGUN.match(body) for body, _ in bodies):
        return without_thought(said), (ToolUse("", rest),)
    return text, ()


def _bare(text: str, tools: Sequence[ToolSignature]) -> tuple[ToolUse, ...]:
    """The calls that a text without marks is, all of it; () if it is something else."""
    body = unfenced(text).strip()
    if not body or (body[0] not in "{[" and not body.endswith(")")):
        return ()
    if body[0] == "{" or body.startswith(("[{", "[ {", "[\n")):
        uses: list[ToolUse] = []
        while body:
            found, body = _json(body)
            if found is None:
                return ()
            uses += _uses(found, _ARGUMENTS[:2])
            body = body.lstrip("; ,\n")
    else:
        uses = _python(body, tools)
    return tuple(uses) if uses and all(_offered(use.name, tools) for use in uses) else ()


def _read(body: str, tools: Sequence[ToolSignature], *, closed: bool) -> list[ToolUse]:
    """The calls after a mark; `closed` says whether its closing one follows."""
    if xml := _XML.match(body.strip()):
        return [ToolUse(_offered(xml[1], tools) or xml[1], _arguments(xml[2], xml[1], tools))]
    starts = [place for mark in ("{", "[", "<arg_key>") if (place := body.find(mark)) >= 0]
    start = min(starts, default=len(body))
    head = _TOKEN.sub(" ", body[:start])
    words = _NAME.findall(head) if "(" not in head and (starts or closed) else []
    name = next((each for word in words if (each := _offered(word, tools))), None)
    if name is not None and len(words) <= _MOST_WORDS:
        return [ToolUse(name, _arguments(body[start:], name, tools))]
    uses = _uses(_json(body[start:])[0], _ARGUMENTS)
    return uses or _python(_TOKEN.sub(" ", body).strip(), tools)


def _uses(found: Any, arguments: Sequence[str]) -> list[ToolUse]:
    """The calls that a JSON value is: an object with a name and arguments, a list of such, or what holds a list of them."""
    if isinstance(found, list):
        return [use for each in cast("list[Any]", found) for use in _uses(each, arguments)]
    if not isinstance(found, dict):
        return []
    given = cast("dict[str, Any]", found)
    held = next((given[name] for name in _CALLS if isinstance(given.get(name), list)), None)
    if held is not None:
        return _uses(held, arguments)
    inner: Any = given.get("function")
    given = {**given, **cast("dict[str, Any]", inner)} if isinstance(inner, dict) else given
    name = next((given[each] for each in _NAMES if isinstance(given.get(each), str)), None)
    key = next((each for each in arguments if each in given), None)
    if name is None or key is None:
        return []
    text = given[key] if isinstance(given[key], str) else json.dumps(given[key] or {}, ensure_ascii=False)
    return [ToolUse(name.strip(), text)]


def _arguments(body: str, name: str, tools: Sequence[ToolSignature]) -> str:
    """A call's arguments as JSON: XML's by the types that the tool declares; else the JSON object, right or wrong, as it stands."""
    pairs = [(key or other, value or more) for key, value, other, more in _XML_ARGUMENT.findall(body)]
    if not pairs:
        found, _ = _json(body[max(body.find("{"), 0) :])
        return json.dumps(found, ensure_ascii=False) if found is not None else _TOKEN.sub("", body).strip() or "{}"
    offered = _offered(name, tools)
    types = (argument_types(tool) for tool in tools if tool.name == offered)
    texts = {name for each in types for name, kind in each.items() if kind == "str"}
    return json.dumps({key: _value(value, key in texts) for key, value in pairs}, ensure_ascii=False)


def _value(text: str, is_text: bool) -> Any:
    text = text.removeprefix("\n").removesuffix("\n")
    if is_text:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()


def _python(body: str, tools: Sequence[ToolSignature]) -> list[ToolUse]:
    """The calls that Python's own notation says: `[search(query="x")]`; [] if it is none."""
    if len(body) > MOST_CHARACTERS or "(" not in body:
        return []
    try:
        root = ast.parse(body, mode="eval").body
        calls = root.elts if isinstance(root, (ast.List, ast.Tuple)) else [root]
        return list(_python_calls(calls, tools))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _python_calls(calls: Sequence[ast.expr], tools: Sequence[ToolSignature]) -> Iterator[ToolUse]:
    for call in calls:
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print" and call.args:
            call = call.args[0]
        if not isinstance(call, ast.Call):
            raise ValueError(ast.dump(call)[:60])
        path = ast.unparse(call.func).removesuffix(".call")
        tool = next((tool for tool in tools if tool.name == _offered(path, tools)), None)
        names = list(argument_types(tool)) if tool else []
        arguments = {name: ast.literal_eval(each) for name, each in zip(names, call.args, strict=False)}
        arguments |= {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
        yield ToolUse(tool.name if tool else path, json.dumps(arguments, ensure_ascii=False, default=str))


def _json(text: str) -> tuple[Any, str]:
    """The JSON value that a text begins with, and what follows it; None if it begins with none."""
    try:
        found, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None, ""
    return (None, "") if deeper(found, MAX_DEPTH) else (found, text[end:])


def _offered(word: str, tools: Sequence[ToolSignature]) -> str | None:
    """The offered tool that a word names, but for capitals and a prefix such as `functions.`."""
    last = word.rpartition(".")[2].casefold()
    return next((tool.name for tool in tools if word == tool.name or last == tool.name.casefold()), None)
