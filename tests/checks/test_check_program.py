"""`flowbot check app.py:answer task.yaml`: what would cost money for nothing is found by running on made-up replies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import flowbot as fb
from flowbot.checks.findings import Findings
from flowbot.checks.program.check import replies, signature_defects
from flowbot.checks.program.observed import Asked, Declared, Observed, Run, marks
from flowbot.checks.program.process import Job, Trial, observe
from flowbot.checks.program.remarks import defects, warnings
from flowbot.checks.program.twice import difference, unlike
from flowbot.checks.program.watched import Watched
from flowbot.task import Example

HEAD = """
import os, socket, subprocess, uuid
from functools import lru_cache
import openai
import flowbot as fb

client = openai.OpenAI(api_key="none", base_url="https://api.openai.com/v1")

def ask(*texts, **more):
    said = [{"role": "user", "content": text} for text in texts]
    reply = client.chat.completions.create(model="gpt-4.1-mini", temperature=0, messages=said, **more)
    return reply.choices[0].message.content
"""
FAULTY = """
WHOLE = fb.Param("whole", "Sort it into a queue, please.")
STALE = fb.Param("stale", "You sort what customers write.")
CUT = fb.Param("cut", "Answer in one word and in nothing else.")
NEVER = fb.Param("never", "Nobody reads this one.")
KEPT = fb.Param("kept", "The names of the queues follow.")
LOST = fb.Param("lost", "Only compared with something.")
TOP = fb.Value("top", 3)
SYSTEM = f"{STALE} Be kind."

@lru_cache
def kept():
    return str(KEPT)

@fb.step
def sort(question):
    return ask(str(WHOLE), question, str({"a", "b", "c", "d", "e", "f", *question.split()}))

def answer(question: str, tone) -> str:
    if str(LOST) == "x":
        return f"{NEVER} {TOP()}"
    try:
        socket.getaddrinfo("api.openai.com", 443)
    except Exception:
        pass
    open("log.txt", "a").close()
    subprocess.run(["true"])
    os.system(b"exit 0")
    return ask(SYSTEM, str(CUT)[:40], kept(), sort(question), str(uuid.uuid4()))
"""
SOUND = """
PLAN = fb.Param("plan", "Sort {this} into a queue.")
LONG = fb.Param("long", "Say more.")
WORDS = fb.Value("words", 40)

@fb.step
async def plan(question):
    import asyncio
    return await asyncio.to_thread(ask, PLAN.format(this=question).upper(), max_tokens=WORDS())

async def answer(question: str) -> str:
    found = int(await plan(question))
    return ask(f"{LONG} {found}", max_tokens=9)
"""


def check(folder: Path, program: str, *, by_task: bool = False) -> Findings:
    (folder / "app.py").write_text(HEAD + program, encoding="utf-8")
    for name in ("train", "val", "test"):
        rows = ({"question": f"{name} {number} is late", "answer": f"{number}"} for number in range(2))
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "task.yaml").write_text(
        "flowbot: 1\ngoal: Sort.\ninputs: {question: str}\noutputs: {answer: str}\nmetric: exact\n"
        "data: {train: train.jsonl, val: val.jsonl, test: test.jsonl}\n"
        + ("programs: [app.py:answer]\n" if by_task else ""),
        encoding="utf-8",
    )
    return fb.check(folder / "task.yaml") if by_task else fb.check(f"{folder}/app.py:answer", task=folder / "task.yaml")


def test_all_that_is_wrong_with_a_program_is_found_and_nothing_is_sent(tmp_path: Path) -> None:
    found = check(tmp_path, FAULTY.replace(", tone)", ", tone='kind')"))
    said = {each.what for each in found.defects}
    for words in (
        "text stale is read when the file is imported",
        "text cut is cut off at its end before it is sent",
        "text kept is read once and kept, as by lru_cache",
        "text lost is read, and stands in no request on 3 examples",
        "calls api.openai.com past the tap",
        f"writes {tmp_path / 'log.txt'}",
        "then, an unordered set",
        "then, a random id",
    ):
        assert any(words in each for each in said), words
    assert len(said) == 8
    assert {each.where for each in found.defects if "set" in each.what} == {"app.py:answer, sort"}
    told = " ".join(each.what for each in found.warnings)
    assert "text never is not read on 3 examples" in told
    assert "value top is never read" in told
    assert "6 requests without a token limit (sort, app.py:answer)" in told
    assert "starts a process: true" in told
    assert "starts a process: exit 0" in told
    assert "uname" not in told
    assert sorted(found.facts["programs"][0]["texts"]) == ["cut", "kept", "lost", "never", "stale", "whole"]


def test_a_sound_program_whose_replies_must_be_numbers_is_sound(tmp_path: Path) -> None:
    found = check(tmp_path, SOUND, by_task=True)
    assert (found.ok, found.defects) == (True, [])
    assert "program" not in " ".join(each.where + each.what for each in found.warnings)
    assert ("Tried", "on 3 examples with made-up replies: 2 model calls at most; none was sent") in found.rows


TURNS = """
TOLD = fb.Param("told", "Answer as shown.", turns=[("One?", "1")])

def answer(question: str) -> str:
    said = [{"role": "system", "content": str(TOLD)}, PLACE, {"role": "user", "content": question}]
    reply = client.chat.completions.create(model="gpt-4.1-mini", temperature=0, max_tokens=9, messages=said)
    return reply.choices[0].message.content
"""


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("*TOLD.turns()", ""),
        ("*TOLD.turns()[:0]", "the turns of text told are read, and stand in no request on 3 examples"),
        ("*()", "the turns of text told are not read on 3 examples"),
    ],
)
def test_turns_that_arrive_nowhere_are_found(tmp_path: Path, place: str, told: str) -> None:
    found = check(tmp_path, TURNS.replace("PLACE", place))
    assert [each.what for each in found.defects] == ([f"{told}: worked examples arrive nowhere"] if told else [])
    assert found.warnings == []


def test_a_program_that_keeps_what_earlier_runs_said_does_not_ask_the_same_twice(tmp_path: Path) -> None:
    kept = "said = []\ndef answer(question):\n    said.append(question)\n    return ask(' '.join(said))['answer']\n"
    found = check(tmp_path, kept)
    (defect,) = found.defects
    assert "when it is run again after others: “late” is “late train 0 is late" in defect.what
    assert "each ended with an error, as made-up replies may bring about: app.py:" in dict(found.rows)["Tried"]


async def test_what_a_program_takes_and_gives_is_held_against_the_task(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def answer(question, tone): return {'queue': 1}", encoding="utf-8")
    trial = Trial(example="train:1", inputs={"question": "a", "tone": "b"}, replies=("x",))
    job = Job(file=tmp_path / "app.py", name="answer", trials=(trial,), outputs={"queue": "int", "why": "str"})
    seen = await observe(job, Watched(tmp_path, (), ()))
    assert [each.lacks for each in seen.runs] == [("why",)]
    task = fb.Task(goal="Sort.", inputs={"question": "str", "note": "str"}, outputs={"queue": "int"}, metric="exact")
    lacking, more = signature_defects(seen, task, "app.py:answer")
    assert lacking.what == "takes question, tone, and the task hands it note"
    assert more.what == "needs tone, which is no input of the task (question, note)"


async def test_a_program_that_cannot_be_imported_says_so(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import nothing_of_that_name", encoding="utf-8")
    job = Job(file=tmp_path / "app.py", name="answer", trials=())
    assert "cannot be imported" in (await observe(job, Watched(tmp_path, (), ()))).fault
    with pytest.raises(fb.UserError, match=r"no file .*none\.py"):
        fb.check(f"{tmp_path}/none.py:answer")


@pytest.mark.parametrize("call", ["ask('Now?')", "fetched()"])
def test_a_model_that_is_asked_while_the_file_is_imported_is_not_called(tmp_path: Path, call: str) -> None:
    fetched = "\ndef fetched():\n    try:\n        socket.getaddrinfo('api.openai.com', 443)\n    except Exception:\n        pass\n"
    (defect,) = check(tmp_path, f"client = client.with_options(max_retries=0)\n{fetched}{SOUND}\n{call}\n").defects
    assert re.fullmatch(r"calls api\.openai\.com when it is imported \(app\.py:\d+\)", defect.what)


def test_a_model_that_is_called_by_way_of_a_proxy_is_seen_too(tmp_path: Path) -> None:
    through = "import http.client\nfrom pathlib import Path\ndef answer(question):\n    asked = http.client.HTTPSConnection('127.0.0.1', 9)\n"
    through += "    asked.set_tunnel('api.openai.com')\n    asked.request('POST', '/v1/responses', 'x')\n"
    assert "calls api.openai.com past the tap" in {each.what for each in check(tmp_path, through).defects}


def test_a_program_that_ends_its_process_is_one_line(tmp_path: Path) -> None:
    (defect,) = check(tmp_path, "import os; os._exit(7)").defects
    assert defect.what == "ends its process (exit status 7)"


TEXT = Declared(name="plan", default="Write a query.", where="app.py:1")
MARKED = "Write a query.".join(marks("plan"))


def asked(text: str, scope: str = "", **more: Any) -> Asked:
    return Asked(scope=scope, model="openai/m", body={"messages": [{"content": text}], **more})


def run(text: str = "", *, marked: bool = True, read: bool = True, **more: Any) -> Run:
    texts = ("plan",) if read else ()
    return Run(example="train:1", marked=marked, asked=(asked(text),) if text else (), texts=texts, **more)


def told(*runs: Run, **more: Any) -> list[str]:
    seen = Observed(texts=(TEXT,), runs=runs)
    return [each.what for each in defects(seen, program="app.py:answer", max_calls=more.get("max_calls"), writes=False)]


@pytest.mark.parametrize(
    ("text", "read", "words"),
    [
        (MARKED, True, ""),
        (MARKED.upper(), True, ""),
        (MARKED[:12], True, "cut off at its end"),
        (MARKED[12:], True, "cut off at its beginning"),
        ("Something else.", True, "stands in no request"),
        ("Write a query. Now.", False, "read when the file is imported"),
        ("Something else.", False, ""),
    ],
)
def test_how_far_a_text_gets_is_told_apart(text: str, read: bool, words: str) -> None:
    found = told(run(text, read=read))
    assert (len(found), words in " ".join(found)) == (bool(words), True)


def test_a_text_that_an_earlier_run_has_read_is_kept_by_somebody() -> None:
    plain = run("Write a query.", marked=False)
    assert "read once and kept" in told(plain, run("Write a query.", read=False))[0]


def test_a_run_that_a_made_up_reply_ended_blames_no_text() -> None:
    failed = run("Else.", read=False, error="app.py:9: ValueError: no number")
    assert told(failed.model_copy(update={"marked": False}), failed) == []
    (remark,) = warnings(Observed(texts=(TEXT,), runs=(failed,)), program="p")[:1]
    assert "ends with app.py:9: ValueError: no number" in remark.what


def test_a_program_that_fails_before_it_asks_or_asks_nobody_or_too_much_is_said() -> None:
    failed = run("", marked=False, read=False, error="app.py:3: KeyError: 'x'")
    assert told(failed) == ["raises app.py:3: KeyError: 'x' on train:1 before it asks a model"]
    assert "makes no model call that the tap sees" in told(run("", marked=False))[0]
    assert told(run("a", marked=False, lacks=("queue",))) == ["returns no queue"]
    many = run(marked=False).model_copy(update={"asked": (asked("a"),) * 3})
    assert "made 3 model calls on train:1, more than max_calls: 2" in told(many, max_calls=2)[0]


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("of {'b', 'a'} now", "of {'a', 'b'} now", "an unordered set"),
        (f"id {'0' * 8}-1111-2222-3333-{'4' * 12}.", f"id {'1' * 8}-1111-2222-3333-{'4' * 12}.", "a random id"),
        ("<A at 0x7f11223344aa>", "<A at 0x7f99887766bb>", "the address of an object"),
        ("at 12:00:01 o'clock", "at 12:00:02 o'clock", "a date or a time"),
        ("at 2026-11-30T12:00:01.250001", "at 2026-11-30T12:00:02.500001", "a date or a time"),
        ("at 1764612345.123", "at 1764612346.001", "a date or a time"),
        ("process 17", "process 18", "something else"),
    ],
)
def test_why_a_program_does_not_ask_the_same_twice_is_told(one: str, other: str, kind: str) -> None:
    assert difference(one, other)[0] == kind
    seen = [
        Observed(runs=(Run(example="e", marked=False, asked=(asked("same"), asked(text, "plan"))),))
        for text in (one, other)
    ]
    (remark,) = unlike(seen[0], seen[1], "app.py:answer", date(2026, 12, 1))
    assert (remark.where, kind in remark.what) == ("app.py:answer, plan", True)
    assert list(unlike(seen[0], seen[0], "app.py:answer", date(2026, 12, 1))) == []


@pytest.mark.parametrize("day", ["2026-12-01", "December 1, 2026", "December 01, 2026", "1 Dec 2026", "01.12.2026"])
def test_todays_date_in_a_request_is_said_although_it_is_the_same_twice(day: str) -> None:
    seen = Observed(runs=(Run(example="e", marked=False, asked=(asked(f"Today is {day}."),)),))
    (remark,) = unlike(seen, seen, "app.py:answer", date(2026, 12, 1))
    assert f"sends today's date ({day})" in remark.what


def test_made_up_replies_say_what_is_expected_bare_and_as_json() -> None:
    expected: Mapping[str, Any] = {"total": 3}
    row = Example("1", {}, expected, "train:1")
    assert replies(row) == ("3", '{"total": 3}', '["3"]', "1")
