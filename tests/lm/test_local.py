"""The local model: known without being started, started once, stopped surely. Most run the real smallest model."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import Field, InfrastructureError, ModelError, UserError, fields_schema
from flowbot.lm.client import Client, Message, Request
from flowbot.lm.local import open_local
from flowbot.lm.local.client import LocalClient
from flowbot.lm.local.fitting import Fitting
from flowbot.lm.local.server import Server, Settings, acquire, default_slots, release
from flowbot.lm.local.weights import catalogue, ensure
from flowbot.store import default_cache_dir

NAME = "smollm2-135m"


def quiet(line: str) -> None:
    pass


def ask(text: str, max_tokens: int = 12, **more: Any) -> Request:
    return Request((Message("user", text),), max_tokens, **more)


@pytest.fixture(scope="module")
def model() -> Path:
    return ensure(NAME, default_cache_dir())


@pytest.fixture
async def client(model: Path) -> AsyncIterator[LocalClient]:
    client = open_local(f"{model}?slots=2&context=256", default_cache_dir(), say=quiet)
    assert isinstance(client, LocalClient)
    yield client
    await client.close()


# --- without starting anything


def test_the_identity_is_known_without_file_or_server(tmp_path: Path):
    client = open_local(NAME, tmp_path / "empty", say=quiet)
    assert isinstance(client, Client)
    assert client.identity.name == catalogue()[NAME].sha256
    assert dict(client.identity.extra)["slots"] == "4"
    assert dict(client.identity.extra)["context"] == "2048"
    assert client.default_concurrency == 4
    assert client.price_ref == "free"
    assert not (tmp_path / "empty").exists()
    other = open_local(f"{NAME}?slots=2", tmp_path, say=quiet)
    assert other.identity != client.identity
    assert open_local(f"{NAME}?threads=1", tmp_path, say=quiet).identity == client.identity


def test_a_path_is_known_by_its_content(tmp_path: Path):
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF and so on")
    one = open_local(str(tmp_path / "a.gguf"), tmp_path, say=quiet)
    assert one.identity == open_local(str(tmp_path / "b.gguf"), tmp_path, say=quiet).identity
    assert one.identity.name == hashlib.sha256(b"GGUF and so on").hexdigest()


def test_bounds_of_replies_are_part_of_the_identity(tmp_path: Path):
    usual = open_local(NAME, tmp_path, say=quiet).identity
    others = [
        open_local(f"{NAME}?{option}", tmp_path, say=quiet).identity for option in ("text=90", "last=90", "items=9")
    ]
    assert len({*others, usual}) == 4
    assert open_local(f"{NAME}?text={Fitting().text}", tmp_path, say=quiet).identity == usual
    measured = open_local(NAME, tmp_path, say=quiet, fitting=Fitting(sampling=(("dry_multiplier", 0.8),))).identity
    assert measured != usual


@pytest.mark.parametrize(
    ("rest", "part"),
    [
        ("gpt-9", "smollm2-135m"),
        ("/no/where.gguf", "no such file"),
        ("{here}/no.gguf", "no GGUF file"),
        (f"{NAME}?slots=0", "slots=0"),
        (f"{NAME}?context=12", "context=12"),
        (f"{NAME}?gpu=1", "'gpu'"),
        (f"{NAME}?items=0", "items=0"),
    ],
)
def test_wrong_use_is_a_users_error(tmp_path: Path, rest: str, part: str):
    (tmp_path / "no.gguf").write_bytes(b"MZ")
    with pytest.raises(UserError, match=part):
        open_local(rest.format(here=tmp_path), tmp_path, say=quiet)


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(UserError, match=r"pip install 'flowbot\[local\]'"):
        open_local(NAME, tmp_path, say=quiet)


def test_small_models_have_more_slots():
    assert default_slots(catalogue()["qwen2.5-coder-0.5b"].bytes) == 4
    assert default_slots(catalogue()["qwen2.5-coder-1.5b"].bytes) == 2


def test_equal_settings_share_a_server(tmp_path: Path):
    one, same = (acquire(Settings(tmp_path / "a", 1, 512, 1)) for _ in range(2))
    other = acquire(Settings(tmp_path / "a", 2, 512, 1))
    assert one is same
    assert other is not one
    release(one)
    third = acquire(Settings(tmp_path / "a", 1, 512, 1))
    assert third is one
    for server in (same, third, other):
        release(server)
    assert acquire(Settings(tmp_path / "a", 1, 512, 1)) is not one


async def test_a_file_that_llama_cannot_load_is_a_fatal_fault(tmp_path: Path):
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"GGUF" + bytes(1000))
    client = open_local(str(path), tmp_path, say=quiet)
    with pytest.raises(InfrastructureError, match=r"bad\.gguf did not start") as caught:
        await client.complete(ask("hello"))
    assert caught.value.fatal
    await client.close()


async def test_a_cancelled_fetch_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from flowbot.lm.local import client as module

    started, stopped = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(*args: Any, stop: Any, **more: Any) -> Path:
        loop.call_soon_threadsafe(started.set)
        assert stop.wait(30)
        loop.call_soon_threadsafe(stopped.set)
        return tmp_path

    monkeypatch.setattr(module, "ensure", slow)
    client = open_local(NAME, tmp_path, say=quiet)
    call = asyncio.create_task(client.complete(ask("x")))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(stopped.wait(), 30)
    await client.close()


# --- with the real model


@pytest.mark.local_model
async def test_it_answers_the_same_at_temperature_0_and_counts_tokens(
    client: LocalClient, capfd: pytest.CaptureFixture[str]
):
    first = await client.complete(ask("Name two fruits."))
    again = await client.complete(ask("Name two fruits."))
    assert first.text == again.text != ""
    assert first.finish == "length"
    assert first.usage.output_tokens == 12
    assert first.usage.input_tokens > 5
    assert again.usage.cached_tokens > 0
    assert first.model == NAME
    assert first.seconds > 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.local_model
async def test_a_seed_decides_a_sample(client: LocalClient):
    texts = [(await client.complete(ask("Write a word.", temperature=1.5, seed=seed))).text for seed in (1, 1, 2, 3)]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


@pytest.mark.local_model
async def test_a_schema_binds_the_reply_and_keeps_its_order(client: LocalClient):
    members = {
        "zeta": {"type": "boolean"},
        "kind": {"type": "string", "enum": ["x", "y"]},
        "alpha": {"type": "integer"},
    }
    schema = {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}
    reply = await client.complete(ask("Tell me about pears.", 80, schema=schema))
    value = json.loads(reply.text)
    assert list(value) == ["zeta", "kind", "alpha"]
    assert value["kind"] in ("x", "y")
    assert isinstance(value["zeta"], bool)


@pytest.mark.local_model
async def test_texts_and_lists_end_at_their_bounds_and_the_rest_of_the_reply_follows(model: Path):
    client = open_local(f"{model}?slots=1&context=512&text=30&last=50&items=6", default_cache_dir(), say=quiet)
    kinds = {"thought": "str", "words": "list[str]", "pairs": "list[list[int]]", "end": "str"}
    schema = fields_schema([Field.of(name, kind) for name, kind in kinds.items()])
    try:
        reply = await client.complete(ask("Tell a long story of a fox, then count from 1 to 100.", 450, schema=schema))
    finally:
        await client.close()
    value = json.loads(reply.text)
    assert reply.finish == "stop"
    assert list(value) == list(kinds)
    assert len(value["thought"]) <= 30
    assert len(value["words"]) <= 3
    assert len(value["pairs"]) <= 2
    assert len(value["end"]) <= 50


@pytest.mark.local_model
async def test_a_prompt_longer_than_the_context_is_the_models_error(client: LocalClient):
    with pytest.raises(ModelError, match="context"):
        await client.complete(ask("fruit " * 1000))
    long = {"type": "array", "items": {"type": "integer"}, "minItems": 200}
    cut = await client.complete(ask("Count.", max_tokens=2000, schema=long))
    assert cut.finish == "length"
    assert cut.usage.tokens <= 256


@pytest.mark.local_model
async def test_calls_side_by_side_share_one_server_which_a_crash_does_not_end(client: LocalClient, model: Path):
    second = open_local(f"{model}?slots=2&context=256", default_cache_dir(), say=quiet)
    assert isinstance(second, LocalClient)
    both = await asyncio.gather(*(each.complete(ask(f"{n} pears")) for n in range(2) for each in (client, second)))
    assert all(reply.text for reply in both)
    server = process_of(client)
    assert process_of(second).pid == server.pid
    await client.close()
    assert server.poll() is None  # the other one still uses it
    server.kill()
    server.wait()
    assert (await second.complete(ask("one more"))).text
    anew = process_of(second)
    await second.close()
    await second.close()
    assert anew.poll() is not None


def process_of(client: LocalClient) -> subprocess.Popen[str]:
    server = client._server  # pyright: ignore[reportPrivateUsage]
    assert isinstance(server, Server)
    process = server._process  # pyright: ignore[reportPrivateUsage]
    assert process is not None
    return process


_OWNER = """
import asyncio, sys
from pathlib import Path
from flowbot.lm.client import Message, Request
from flowbot.lm.local import open_local

async def main():
    client = open_local(sys.argv[1] + "?slots=1&context=512", Path(sys.argv[2]), say=print)
    await client.complete(Request((Message("user", "hi"),), 2))
    how = sys.argv[3]
    print(client._server._process.pid, flush=True)
    if how == "close":
        await client.close()
    elif how == "mid-call":  # the interpreter ends while the server is busy
        task = asyncio.ensure_future(client.complete(Request((Message("user", "count"),), 400)))
        await asyncio.sleep(0.3)
    elif how == "wait":
        await client.complete(Request((Message("user", "count"),), 400))
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def owner(model: Path, tmp_path: Path) -> Iterator[Any]:
    started: list[subprocess.Popen[str]] = []

    def start(how: str) -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, "-c", _OWNER, str(model), str(tmp_path), how]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def gone(pid: int) -> bool:
    """Wait until a process that is no child of ours has ended. A pidfd becomes readable when it has."""
    import select

    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], 30)[0])
    finally:
        os.close(watched)


@pytest.mark.local_model
@pytest.mark.parametrize("how", ["close", "forget", "mid-call"])
def test_the_interpreter_ends_cleanly_and_the_server_with_it(owner: Any, how: str):
    process, server = owner(how)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == ""
    if how == "close":
        assert err == ""
    assert gone(server)


@pytest.mark.local_model
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_or_interrupted_owner_leaves_nothing_behind(owner: Any, signal_number: signal.Signals):
    process, server = owner("wait")
    os.killpg(process.pid, signal_number)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert gone(server)
