"""Endpoints that take more than they may, or time that never ends: what a ceiling promises holds, and where not it is said."""

from __future__ import annotations

import json
import os
import signal
import socketserver
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from .ground import Asked, Endpoint, Finished, Ground, attempt, completion, held

GROUP = "ceilings"
PRICE = ("--price", "1,1")
"""Dollars per million tokens."""
ENDS = 35.0
"""Seconds within which a command with `--max-seconds 2`, or a signal, has ended: the grace and what a busy machine adds."""


def _eval(at: Ground, endpoint: Endpoint, *options: str, rows: int = 40, **parameters: Any) -> Finished:
    """An evaluation of one call an example on about a third of `rows` examples."""
    task = at.task([{"id": f"r{n}", "word": f"word {n}", "count": "6"} for n in range(rows)])
    flow = at.flow(**parameters)
    model = ("--split", "test", "--model", "openai/liar?thinking=0")
    return at.flowbot("eval", flow, task, *model, *options, "--json", **endpoint.environment)


def _facts(found: Finished) -> dict[str, Any]:
    held(found.out.startswith("{"), f"no result: {found.line()}")
    return json.loads(found.out)


def _liar(**usage: Any) -> Callable[[Asked], Any]:
    return lambda asked: completion("6", **usage)


@contextmanager
def _dripping(pause: float = 0.5) -> Iterator[str]:
    """An endpoint that sends a byte now and then, for ever. Gives its base URL."""

    class Drip(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            try:
                self.request.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
                )
                for _ in range(1200):
                    self.request.sendall(b" ")
                    time.sleep(pause)
            except OSError:
                pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drip) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()


@attempt(GROUP, "endpoint")
def replies_far_above_their_limit(at: Ground) -> None:
    """every reply is reported as five million tokens under --max-usd 3: no call is sent once that is known, and it is said"""
    with Endpoint(_liar(written=5_000_000, total_tokens=5_000_020)) as endpoint:
        found = _eval(at, endpoint, "--max-usd", "3", *PRICE, "--concurrency", "2", rows=90)
        held(len(endpoint.asked) <= 2, f"{len(endpoint.asked)} requests, each at 5 USD")
        held(found.status == 1, f"exit status {found.status}")
        held("USD" in found.err, f"not said: {found.line()}")


@attempt(GROUP, "endpoint")
def the_last_replies_pass_the_ceiling(at: Ground) -> None:
    """the calls in flight alone pass the ceiling and nothing is left to do: it is said all the same, and no success"""
    with Endpoint(_liar(written=5_000_000, total_tokens=5_000_020)) as endpoint:
        found = _eval(at, endpoint, "--max-usd", "3", *PRICE, "--concurrency", "8", rows=15)
        held(found.status == 1 and "ceiling was passed" in found.err, f"{found.status}: {found.line()}")
        held(_facts(found)["passed"], "not in the object for programs")


@attempt(GROUP, "endpoint", slow=True)
def a_search_whose_replies_are_far_above_their_limit(at: Ground) -> None:
    """a search with --max-usd 20 at an endpoint that reports a million tokens a reply: what is passed is what was in flight"""
    with Endpoint(_liar(written=1_000_000, total_tokens=1_000_020)) as endpoint:
        arguments = (
            "--model",
            "openai/liar?thinking=0",
            "--effort",
            "low",
            "--max-usd",
            "20",
            *PRICE,
            "--concurrency",
            "4",
            "--json",
        )
        found = at.flowbot("optimize", at.task(), *arguments, seconds=120, **endpoint.environment)
        held(len(endpoint.asked) <= 24, f"{len(endpoint.asked)} requests, each at 1 USD")
        held(found.status == 1 and "ceiling" in found.err, f"{found.status}: {found.line()}")


@attempt(GROUP, "endpoint")
def an_endpoint_that_ignores_max_tokens(at: Ground) -> None:
    """replies of 40,000 characters where 512 tokens were allowed, honestly counted, under --max-tokens"""
    text = "lorem ipsum " * 3_500
    with Endpoint(lambda asked: completion(text, written=10_000)) as endpoint:
        found = _eval(at, endpoint, "--max-tokens", "12000", "--concurrency", "1", rows=60)
        held(len(endpoint.asked) <= 2, f"{len(endpoint.asked)} requests of 10,000 tokens each")
        held(found.status == 1, f"exit status {found.status}")


@attempt(GROUP, "endpoint")
def empty_replies_asked_again(at: Ground) -> None:
    """every reply is empty and asked for again: --max-calls 20 is 20 requests"""
    with Endpoint(lambda asked: completion("")) as endpoint:
        _eval(at, endpoint, "--max-calls", "20", rows=60)
        held(len(endpoint.asked) <= 20, f"{len(endpoint.asked)} requests")


@attempt(GROUP, "endpoint")
def empty_replies_that_cost(at: Ground) -> None:
    """empty replies of 900 tokens under a ceiling in dollars"""
    with Endpoint(lambda asked: completion("", written=500, total_tokens=520)) as endpoint:
        _eval(at, endpoint, "--max-usd", "0.01", *PRICE, rows=90)
        held(len(endpoint.asked) * 520 <= 10_000, f"{len(endpoint.asked)} requests, {len(endpoint.asked) * 520} tokens")


@attempt(GROUP, "endpoint")
def a_replay_is_charged_what_the_run_was(at: Ground) -> None:
    """replies that come at the second try: the same command again asks nothing and counts the same"""
    seen: set[str] = set()

    def second(asked: Asked) -> Any:
        first = asked.text not in seen
        seen.add(asked.text)
        return completion("" if first else "6")

    with Endpoint(second) as endpoint:
        first = _facts(_eval(at, endpoint, rows=30))
        asked = len(endpoint.asked)
        again = _facts(_eval(at, endpoint, rows=30))
        held(len(endpoint.asked) == asked, "the replay asks again")
        counted = [(each["calls"], each["requests"], each["tokens"]) for each in (first, again)]
        held(counted[0] == counted[1], f"counted {counted}")
        held(first["requests"] == asked, f"{asked} requests, {first['requests']} told")


@attempt(GROUP, "endpoint")
def a_run_that_ended_at_a_ceiling_ends_there_again(at: Ground) -> None:
    """a run that a ceiling ended, given again five times: no request more, also for calls that had no reply yet"""
    with Endpoint(lambda asked: completion("")) as endpoint:
        _eval(at, endpoint, "--max-calls", "10", "--concurrency", "1", rows=60)
        asked = len(endpoint.asked)
        for _ in range(3):
            found = _eval(at, endpoint, "--max-calls", "10", "--concurrency", "1", rows=60)
            held(found.status == 1, f"exit status {found.status}")
        held(len(endpoint.asked) == asked <= 10, f"{asked} requests, then {len(endpoint.asked)}")


@attempt(GROUP, "endpoint")
def second_sendings_of_stragglers(at: Ground) -> None:
    """stragglers that are sent twice (--hedge) under --max-calls: both sendings count"""
    turn = iter(range(10_000))

    def straggles(asked: Asked) -> Any:
        if next(turn) % 5 == 4:
            time.sleep(0.6)
        return completion("6")

    with Endpoint(straggles) as endpoint:
        options = ("--hedge", "--max-calls", "41", "--concurrency", "4")
        found = _eval(at, endpoint, *options, rows=120)
        held(len(endpoint.asked) <= 41, f"{len(endpoint.asked)} requests: {found.line()}")


def _tokens_end_it(at: Ground, usage: Any, *, text: str = "six " * 40, most: int = 16) -> None:
    """Whatever is said of usage, replies of 40 words end at a ceiling of 2,000 tokens, after at most `most` requests."""

    def answer(asked: Asked) -> Any:
        return {**completion(text), "usage": usage(asked) if callable(usage) else usage}

    with Endpoint(answer) as endpoint:
        found = _eval(at, endpoint, "--max-tokens", "2000", "--concurrency", "1", rows=240)
        held(len(endpoint.asked) <= most, f"{len(endpoint.asked)} requests: {found.line()}")
        held(found.status == 1, f"exit status {found.status}: {found.line()}")


@attempt(GROUP, "endpoint")
def usage_of_zero_beside_a_text(at: Ground) -> None:
    """usage says zero tokens beside a text of forty words"""
    _tokens_end_it(at, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, most=40)


@attempt(GROUP, "endpoint")
def no_usage_at_all(at: Ground) -> None:
    """there is no usage in any answer"""
    _tokens_end_it(at, None, most=40)


@attempt(GROUP, "endpoint")
def negative_usage(at: Ground) -> None:
    """usage is negative, which would give room back"""
    _tokens_end_it(at, {"prompt_tokens": -1000, "completion_tokens": -1000, "total_tokens": -2000}, most=40)


@attempt(GROUP, "endpoint")
def thoughts_outside_the_count(at: Ground) -> None:
    """thoughts are counted in the total alone: 900 tokens a reply where completion_tokens says 5"""
    _tokens_end_it(at, {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 925}, text="6", most=3)


@attempt(GROUP, "endpoint")
def thoughts_among_the_details_alone(at: Ground) -> None:
    """thoughts stand only in completion_tokens_details"""
    details = {"completion_tokens_details": {"reasoning_tokens": 900}}
    _tokens_end_it(at, {"prompt_tokens": 20, "completion_tokens": 5, **details}, text="6", most=3)


@attempt(GROUP, "endpoint")
def cached_tokens_above_what_was_read(at: Ground) -> None:
    """more tokens are said to come from the cache than were read, which would make the call free"""
    details = {"prompt_tokens_details": {"cached_tokens": 10**9}}
    with Endpoint(lambda asked: completion("6", read=50, **details)) as endpoint:
        facts = _facts(_eval(at, endpoint, "--max-usd", "1", *PRICE))
        held(facts["usd"] is not None and facts["usd"] > 0, f"it cost {facts['usd']}")


@attempt(GROUP, "endpoint")
def usage_of_four_hundred_digits(at: Ground) -> None:
    """usage has 400 digits, or 5,000: the reply that was paid for is kept and used"""
    for digits in (400, 5_000):
        body = json.dumps(completion("6")).replace('"completion_tokens": 5', f'"completion_tokens": {"9" * digits}')
        with Endpoint(lambda asked, body=body: body.encode()) as endpoint:
            facts = _facts(_eval(at, endpoint, "--cache-dir", str(at.folder / f"cache-{digits}"), rows=12))
            held(facts["mean"] == 1.0, f"{digits} digits: mean {facts['mean']}")
            held(len(endpoint.asked) == facts["calls"], f"{digits} digits: asked {len(endpoint.asked)} times")


@attempt(GROUP, "endpoint")
def answers_without_a_message(at: Ground) -> None:
    """answers that hold usage and no message are tried again and charged for: --max-calls 12 is 12 requests"""
    with Endpoint(lambda asked: {**completion(""), "choices": []}) as endpoint:
        found = _eval(at, endpoint, "--max-calls", "12", rows=60)
        held(len(endpoint.asked) <= 12, f"{len(endpoint.asked)} requests")
        held(found.status in (1, 3), f"exit status {found.status}: {found.line()}")


@attempt(GROUP, "endpoint")
def replies_that_must_be_asked_for_again(at: Ground) -> None:
    """a typed output and replies that never fit it: what asks again counts"""
    task = at.task([{"id": f"r{n}", "word": f"word {n}", "count": n} for n in range(60)], outputs={"count": "int"})
    flow = at.write(
        "typed.flow.yaml",
        {
            "flowbot": 1,
            "inputs": {"word": "str"},
            "outputs": {"count": "answer.count"},
            "nodes": {"answer": {"kind": "llm", "in": {"word": "word"}, "out": {"count": "int"}}},
            "parameters": {"answer": {"instruction": "Count."}},
        },
    )
    with Endpoint(lambda asked: completion("many")) as endpoint:
        at.flowbot(
            "eval",
            flow,
            task,
            "--split",
            "test",
            "--model",
            "openai/liar?thinking=0",
            "--max-calls",
            "9",
            **endpoint.environment,
        )
        held(len(endpoint.asked) <= 9, f"{len(endpoint.asked)} requests")


@attempt(GROUP, "endpoint")
def samples_of_one_step(at: Ground) -> None:
    """a step that draws seven samples an example, under --max-calls 10"""
    with Endpoint(lambda asked: completion("6")) as endpoint:
        found = _eval(at, endpoint, "--max-calls", "10", samples=7, temperature=1.0)
        held(len(endpoint.asked) <= 10, f"{len(endpoint.asked)} requests: {found.line()}")


@attempt(GROUP, "model reply")
def a_tool_loop_that_never_ends(at: Ground) -> None:
    """a model that always asks for one more tool call, in as many rounds as a step allows, under --max-calls 10"""
    at.write("tools.py", "def look(word: str) -> str:\n    return word\n")
    task = at.task(tools=["tools.py:look"])
    flow = at.write(
        "tool.flow.yaml",
        {
            "flowbot": 1,
            "inputs": {"word": "str"},
            "outputs": {"count": "answer.count"},
            "nodes": {"answer": {"kind": "llm", "rounds": 8, "in": {"word": "word"}, "out": {"count": "str"}}},
            "parameters": {"answer": {"instruction": "Look.", "tools": ["look"]}},
        },
    )
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"word": "a"}'}}

    def again(asked: Asked) -> Any:
        body = completion("")
        body["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
        return body

    with Endpoint(again) as endpoint:
        options = ("--split", "test", "--model", "openai/liar?thinking=0", "--max-calls", "10")
        found = at.flowbot("eval", flow, task, *options, **endpoint.environment)
        held(0 < len(endpoint.asked) <= 10, f"{len(endpoint.asked)} requests: {found.line()}")


@attempt(GROUP, "model reply")
def a_judge_that_gives_no_verdict(at: Ground) -> None:
    """a metric with a judge whose replies are of no use: its tries count against --max-calls like all others"""
    task = at.task(metric={"judge": {"rubric": "It is right."}})
    with Endpoint(lambda asked: completion("hm")) as endpoint:
        options = ("--split", "test", "--model", "openai/liar?thinking=0", "--max-calls", "15")
        found = at.flowbot("eval", at.flow(), task, *options, **endpoint.environment)
        held(found.status != 2, f"refused: {found.line()}")
        held(0 < len(endpoint.asked) <= 15, f"{len(endpoint.asked)} requests: {found.line()}")


@attempt(GROUP, "model reply")
def a_list_that_becomes_a_call_an_item(at: Ground) -> None:
    """a model's list of 5,000 items, each of which a map would ask a model about, under --max-calls 10"""
    task = at.task()
    flow = at.write(
        "map.flow.yaml",
        {
            "flowbot": 1,
            "inputs": {"word": "str"},
            "outputs": {"count": "join.count"},
            "nodes": {
                "list": {"kind": "llm", "in": {"word": "word"}, "out": {"items": "list[str]"}},
                "each": {
                    "kind": "map",
                    "over": "list.items",
                    "limit": 200,
                    "nodes": {"ask": {"kind": "llm", "in": {"item": "item"}, "out": {"one": "str"}}},
                    "out": {"ones": "ask.one"},
                },
                "join": {"kind": "code", "in": {"ones": "each.ones"}, "out": {"count": "str"}},
            },
            "parameters": {
                "list": {"instruction": "List."},
                "each/ask": {"instruction": "Ask."},
                "join": {"code": "def run(ones):\n    return {'count': str(len(ones))}"},
            },
        },
    )
    many = json.dumps({"items": [f"i{n}" for n in range(5_000)]})
    with Endpoint(lambda asked: completion(many if "List." in asked.text else "x")) as endpoint:
        options = ("--split", "test", "--model", "openai/liar?thinking=0", "--max-calls", "10")
        found = at.flowbot("eval", flow, task, *options, **endpoint.environment)
        held(found.status != 2, f"refused: {found.line()}")
        held(0 < len(endpoint.asked) <= 10, f"{len(endpoint.asked)} requests: {found.line()}")


@attempt(GROUP, "endpoint")
def refusals_are_asked_again_once(at: Ground) -> None:
    """every request is refused on policy grounds: each is asked twice, no more"""
    refused = (400, {"error": {"code": "content_filter", "message": "content_filter"}})
    with Endpoint(lambda asked: refused) as endpoint:
        _eval(at, endpoint, "--max-calls", "20", rows=30)
        held(len(endpoint.asked) <= 20, f"{len(endpoint.asked)} requests")


@attempt(GROUP, "endpoint")
def a_run_in_use_keeps_its_ceiling(at: Ground) -> None:
    """`run` over 30 rows with --max-calls 5 at an endpoint that says nothing"""
    rows = at.write("in.jsonl", "".join(json.dumps({"word": f"w{n}"}) + "\n" for n in range(30)))
    with Endpoint(lambda asked: completion("")) as endpoint:
        options = ("--inputs", rows, "--model", "openai/liar?thinking=0", "--max-calls", "5")
        found = at.flowbot("run", at.flow(), *options, **endpoint.environment)
        held(len(endpoint.asked) <= 5, f"{len(endpoint.asked)} requests")
        held(found.status == 1, f"exit status {found.status}")


@attempt(GROUP, "endpoint", slow=True)
def an_endpoint_that_drips(at: Ground) -> None:
    """a byte every half second for ten minutes: --max-seconds 2 ends the command soon after, and the same command resumes"""
    with _dripping() as url:
        began = time.monotonic()
        found = at.flowbot(
            "eval", at.flow(), at.task(), "--model", "openai/liar?thinking=0", "--max-seconds", "2", seconds=ENDS + 20,
            OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-attack-0123456789abcdef",
        )  # fmt: skip
        took = time.monotonic() - began
        held(found.status == 3 and "seconds" in found.err, f"{found.status}: {found.line()}")
        held(took < ENDS, f"it took {took:.0f} s")
        port = url.rpartition(":")[2].partition("/")[0]
    held(port.isdigit(), "no port")
    with Endpoint(_liar()) as endpoint:
        again = at.flowbot("eval", at.flow(), at.task(), "--model", "openai/liar?thinking=0", **endpoint.environment)
        held(again.status == 0, f"it does not resume: {again.line()}")


@attempt(GROUP, "endpoint", slow=True)
def one_signal_ends_a_call_that_hangs(at: Ground) -> None:
    """an endpoint that never answers: one SIGTERM ends the command after the grace, with exit status 3"""
    with Endpoint(lambda asked: time.sleep(300)) as endpoint:
        process = at.start(
            "-m", "flowbot", "eval", at.flow(), at.task(), "--model", "openai/liar?thinking=0", **endpoint.environment
        )
        deadline = time.monotonic() + 30
        while not endpoint.asked and time.monotonic() < deadline:
            time.sleep(0.05)
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        try:
            process.communicate(timeout=ENDS)
        finally:
            took = time.monotonic() - began
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        held(process.returncode == 3, f"exit status {process.returncode} after {took:.0f} s")


@attempt(GROUP, "endpoint", slow=True)
def a_pause_that_an_endpoint_asks_for(at: Ground) -> None:
    """an endpoint that asks to wait 100 seconds: --max-seconds 2 does not wait for it"""

    def later(asked: Asked) -> Any:
        return 429, {"error": {"message": "wait", "code": "rate_limit"}}

    with Endpoint(later, headers={"Retry-After": "100"}) as endpoint:
        began = time.monotonic()
        found = _eval(at, endpoint, "--max-seconds", "2")
        took = time.monotonic() - began
        held(found.status == 3, f"{found.status}: {found.line()}")
        held(took < ENDS, f"it took {took:.0f} s")
