"""Data that names a model: where requests go and what is written there is the user's to say."""

from __future__ import annotations

import json
from typing import Any

from .ground import Asked, Endpoint, Ground, attempt, completion, held

RECORDED = "recorded/~/.bash_aliases?record=fake/echo"
"""Appends to a start-up file of the shell, with what a step is told in the line."""
ENDPOINT = "openai/expensive"
"""Asks an endpoint with the user's key."""

JOIN = {"kind": "merge", "in": ["answer.count", "more.count"], "out": {"count": "str"}}


def _flow(at: Ground, model: str, place: str = "step") -> Any:
    """A flow for the task, in which a model stands in one of the places that there are."""
    word, told = {"word": "word"}, {"instruction": "Count the letters."}
    call = {"kind": "llm", "in": word, "out": {"count": "str"}}
    nodes: dict[str, Any] = {"answer": call}
    parameters: dict[str, Any] = {"answer": {**told, **({"model": model} if place == "step" else {})}}
    end = "answer.count"
    match place:
        case "branch":
            nodes["route"] = {"kind": "branch", "in": word, "ways": ["long", "short"]}
            parameters["route"] = {"instruction": "Long?", "model": model}
            nodes["more"] = {**call, "when": "route.long"}
            nodes["either"] = {**JOIN, "how": "first"}
            parameters["more"] = told
            end = "either.count"
        case "judge":
            nodes["more"] = call
            nodes["best"] = {**JOIN, "how": "judge"}
            parameters |= {"more": {"instruction": "Count them."}, "best": {"instruction": "Best?", "model": model}}
            end = "best.count"
        case "loop":
            carried = {"type": "str", "start": "answer.count", "next": "mend.count"}
            mend = {"kind": "llm", "in": {"count": "count"}, "out": {"count": "str"}}
            nodes["again"] = {"kind": "loop", "max": 1, "carry": {"count": carried}, "nodes": {"mend": mend}}
            parameters["again/mend"] = {"instruction": "Mend it.", "model": model}
            end = "again.count"
        case "unasked":
            ways = {"a": {"ref": "word", "op": "==", "value": "a"}, "b": "else"}
            nodes["route"] = {"kind": "branch", "in": word, "ways": ways}
            nodes["more"] = {**call, "when": "route.a"}
            nodes["either"] = {**JOIN, "how": "first"}
            parameters |= {"more": told, "route": {"model": model}}
            end = "either.count"
        case _:
            pass
    return at.write(
        "found.flow.yaml",
        {"flowbot": 1, "inputs": {"word": "str"}, "outputs": {"count": end}, "nodes": nodes, "parameters": parameters},
    )


def _untouched(at: Ground) -> None:
    held(not (at.home / ".bash_aliases").exists(), "the file is written")


def _refused(at: Ground, found: Any, *names: str) -> None:
    _untouched(at)
    held(found.status == 2, f"it is not refused: {found.line()}")
    for name in names:
        held(name in found.err, f"{name} is not named: {found.line()}")


@attempt("models", "flow file")
def recorded_file_in_the_home_folder(at: Ground) -> None:
    """a step's model appends to a start-up file of the shell: recorded/~/.bash_aliases?record=fake/echo"""
    _refused(at, at.flowbot("run", _flow(at, RECORDED), "word=aaa", "--model", "fake/echo"), RECORDED)


@attempt("models", "flow file")
def recorded_file_that_the_user_lists(at: Ground) -> None:
    """as before, and the page that shares the flow says to add it to --models"""
    found = at.flowbot("run", _flow(at, RECORDED), "word=aaa", "--model", "fake/echo", "--models", RECORDED)
    _refused(at, found, RECORDED)


@attempt("models", "flow file")
def recorded_file_like_the_users_own(at: Ground) -> None:
    """a step names the very file that the user records to with --model"""
    mine = f"recorded/{at.folder}/mine.jsonl?record=fake/echo"
    found = at.flowbot("run", _flow(at, mine), "word=aaa", "--model", mine)
    held(not (at.folder / "mine.jsonl").exists(), "the file is written")
    _refused(at, found)


@attempt("models", "flow file")
def recorded_file_within_a_recorded_file(at: Ground) -> None:
    """a chain of recordings, the last of which writes"""
    _refused(at, at.flowbot("run", _flow(at, f"recorded/x?record={RECORDED}"), "word=aaa", "--model", "fake/echo"))


@attempt("models", "flow file")
def recorded_file_of_a_chooser(at: Ground) -> None:
    """the model that chooses among the ways of a branch"""
    _refused(at, at.flowbot("run", _flow(at, RECORDED, "branch"), "word=aaa", "--model", "fake/echo"), "step route")


@attempt("models", "flow file")
def recorded_file_of_a_merge(at: Ground) -> None:
    """the model that judges the candidates of a merge"""
    _refused(at, at.flowbot("run", _flow(at, RECORDED, "judge"), "word=aaa", "--model", "fake/echo"), "step best")


@attempt("models", "flow file")
def recorded_file_inside_a_loop(at: Ground) -> None:
    """the model of a step in the body of a loop"""
    _refused(at, at.flowbot("run", _flow(at, RECORDED, "loop"), "word=aaa", "--model", "fake/echo"), "again/mend")


@attempt("models", "flow file")
def recorded_file_of_a_step_that_asks_nobody(at: Ground) -> None:
    """a branch by conditions names a model, for an edit that makes it ask one later"""
    _refused(at, at.flowbot("run", _flow(at, RECORDED, "unasked"), "word=aaa", "--model", "fake/echo"), "step route")


@attempt("models", "flow file")
def recorded_file_in_an_evaluation(at: Ground) -> None:
    """`eval` of a flow that names one"""
    _refused(at, at.flowbot("eval", _flow(at, RECORDED), at.task(), "--model", "fake/echo"), RECORDED)


@attempt("models", "flow file")
def recorded_file_in_a_start(at: Ground) -> None:
    """`optimize --start` with a flow that names one"""
    found = at.flowbot("optimize", at.task(), "--start", _flow(at, RECORDED), "--model", "fake/counter")
    _refused(at, found, RECORDED)
    held(not (at.folder / "runs").exists(), "a run is begun")


@attempt("models", "flow file")
def a_dry_run_opens_what_a_flow_names(at: Ground) -> None:
    """`eval --dry-run` says nothing of the model that the real run would call"""
    _refused(at, at.flowbot("eval", _flow(at, RECORDED), at.task(), "--model", "fake/echo", "--dry-run"), RECORDED)


@attempt("models", "flow file")
def check_calls_a_flow_sound_that_writes(at: Ground) -> None:
    """`check` of a flow that names a recorded file finds nothing wrong"""
    found = at.flowbot("check", _flow(at, RECORDED))
    _untouched(at)
    held(found.status == 1, f"it is sound: {found.line()}")
    held(RECORDED in found.out.replace("\n", ""), f"it is not named: {found.out[:300]}")


@attempt("models", "flow file", slow=True)
def local_files_by_every_form_of_a_path(at: Ground) -> None:
    """a step's model is a file of this machine: local//…, local/~…, local/./…, local/../…, NAME.gguf, with options"""
    at.write("evil.gguf", b"GGUF and a parser to feed")
    names = [
        f"local/{at.folder}/evil.gguf",
        "local/~/x",
        "local/./evil.gguf",
        "local/../evil.gguf",
        "local/evil.gguf?slots=2",
    ]
    for name in names:
        found = at.flowbot("run", _flow(at, name), "word=a", "--model", "fake/echo", "--models", name)
        _refused(at, found, "these are for --model")


@attempt("models", "flow file")
def a_step_calls_an_endpoint_of_its_own_choice(at: Ground) -> None:
    """a flow spends the user's key: a step asks a dearer model than the user named"""
    with Endpoint(lambda _: completion('{"count": "3"}')) as endpoint:
        found = at.flowbot("run", _flow(at, ENDPOINT), "word=aaa", "--model", "fake/echo", **endpoint.environment)
        held(not endpoint.asked, "the endpoint is asked")
        _refused(at, found, ENDPOINT, f"--models {ENDPOINT}")


@attempt("models", "flow file")
def a_step_leaves_the_users_server_for_another_provider(at: Ground) -> None:
    """the user works with a server of their own, and a step sends the inputs to whoever VLLM_BASE_URL names"""
    with Endpoint(lambda _: completion('{"count": "3"}')) as endpoint:
        found = at.flowbot(
            "run", _flow(at, "vllm/x"), "word=secret", "--model", "fake/echo", VLLM_BASE_URL=endpoint.url
        )
        held(not endpoint.asked, "the inputs are sent there")
        _refused(at, found, "vllm/x")


@attempt("models", "flow file")
def options_hidden_behind_a_listed_name(at: Ground) -> None:
    """the user lists fake/echo, and the flow names fake/echo?latency=…, which hangs"""
    slow = "fake/echo?latency=600&clock=real"
    _refused(at, at.flowbot("run", _flow(at, slow), "word=a", "--model", "fake/echo", "--models", "fake/echo"), slow)


@attempt("models", "flow file")
def one_refusal_at_a_time(at: Ground) -> None:
    """several models, of which only the first is told, so that the user allows them one by one without the whole"""
    flow = _flow(at, ENDPOINT, "loop")
    data = json.loads(flow.read_text())
    data["parameters"]["answer"]["model"] = "openai/other"
    found = at.flowbot("run", at.write("found.flow.yaml", data), "word=a", "--model", "fake/echo")
    _refused(at, found, ENDPOINT, "openai/other", "step again/mend", "step answer")


@attempt("models", "flow file")
def a_name_that_fills_the_screen(at: Ground) -> None:
    """a model's name of 500,000 letters, which scrolls away what is said of it"""
    found = at.flowbot("run", _flow(at, "openai/" + "x" * 500_000), "word=a", "--model", "fake/echo")
    _refused(at, found)
    held(len(found.said) < 2000, f"{len(found.said):,} characters are printed")


@attempt("models", "flow file")
def a_start_of_the_library_calls_its_own_models(at: Ground) -> None:
    """`--start papillon` names models of its own: they are called unasked"""
    rows = [{"id": f"r{n}", "request": f"Write to {n}.", "reply": "Dear"} for n in range(20)]
    task = at.task(rows, inputs={"request": "str"}, outputs={"reply": "str"})
    with Endpoint(lambda _: completion("{}")) as endpoint:
        found = at.flowbot("optimize", task, "--start", "papillon", "--model", "fake/echo", **endpoint.environment)
        held(not endpoint.asked, "the endpoint is asked")
        _refused(at, found, "openai/gpt-4.1-mini", "local/qwen2.5-coder-1.5b")


def _python(at: Ground, code: str) -> Any:
    return at.python("-c", f"import flowbot as fb\n{code}")


@attempt("models", "flow file")
def recorded_file_by_load(at: Ground) -> None:
    """fb.load and a call, in a program that takes flows from users"""
    flow = _flow(at, RECORDED)
    found = _python(at, f"fb.load({str(flow)!r}, lm='fake/echo', models=[{RECORDED!r}])(word='aaa')")
    _untouched(at)
    held("UserError" in found.err, f"it is not refused: {found.line()}")


@attempt("models", "flow file")
def recorded_file_by_a_workflow_object(at: Ground) -> None:
    """fb.evaluate and fb.optimize with a workflow that was loaded before"""
    flow, task = _flow(at, RECORDED), at.task()
    code = (
        f"flow = fb.Workflow.load({str(flow)!r})\n"
        f"for call in (lambda: fb.evaluate(flow, {str(task)!r}, lm='fake/echo'),\n"
        f"             lambda: fb.optimize({str(task)!r}, lm='fake/echo', start=flow),\n"
        f"             lambda: fb.evaluate({str(flow)!r}, {str(task)!r}, lm='fake/echo')):\n"
        "    try: call(); print('ran')\n"
        "    except fb.UserError as error: print('refused' if 'step answer' in str(error) else error)\n"
    )
    found = _python(at, code)
    _untouched(at)
    held(found.out.split() == ["refused"] * 3, f"it is not refused: {found.line()}")


@attempt("models", "data file")
def recorded_file_as_a_judge(at: Ground) -> None:
    """a task file whose judge is a recorded file in the home folder"""
    task = at.task(metric={"judge": {"rubric": "Is it right?", "model": RECORDED}})
    _refused(
        at, at.flowbot("eval", at.flow(), task, "--model", "fake/echo", "--models", RECORDED), "metric.judge.model"
    )


@attempt("models", "data file")
def a_judge_of_the_tasks_own_choice(at: Ground) -> None:
    """a shared task whose metric asks a dear model, in a part of it, once for every example"""
    part = {"judge": {"rubric": "Is it right?", "model": ENDPOINT}, "on": "count"}
    task = at.task(metric={"parts": {"right": {"metric": "exact", "on": "count"}, "said": part}})
    with Endpoint(lambda _: completion('{"reason": "", "verdict": "yes"}')) as endpoint:
        for command in (["eval", at.flow(), task], ["optimize", task]):
            found = at.flowbot(*command, "--model", "fake/echo", **endpoint.environment)
            held(not endpoint.asked, "the endpoint is asked")
            _refused(at, found, ENDPOINT)


@attempt("models", "data file")
def a_check_asks_the_judge_of_a_task(at: Ground) -> None:
    """`check TASK --model` asks the judge that the file names about three rows"""
    task = at.task(metric={"judge": {"rubric": "Is it right?", "model": ENDPOINT}})
    with Endpoint(lambda _: completion('{"reason": "", "verdict": "yes"}')) as endpoint:
        found = at.flowbot("check", task, "--model", "fake/echo", **endpoint.environment)
        held(not endpoint.asked, "the endpoint is asked")
        held(found.status == 1 and ENDPOINT in found.out, f"it is not told: {found.line()}")


@attempt("models", "run folder", slow=True)
def a_found_flow_that_was_changed(at: Ground) -> None:
    """a run's folder is shared with another found.flow.yaml in it; the same search is run again, then what it found"""
    task, folder = at.task(), at.folder / "runs" / "shared"
    again = ["optimize", task, "--model", "fake/counter", "--effort", "low", "--method", "none", "--run-dir", folder]
    held(at.flowbot(*again).status == 0, "the search does not end")
    evil = json.loads(_flow(at, RECORDED).read_text())
    for name in ("found.flow.yaml", "start.flow.yaml"):
        (folder / name).write_text(json.dumps(evil))
    _refused(at, at.flowbot("run", folder / "found.flow.yaml", "word=a", "--model", "fake/counter"))
    found = at.flowbot(*again)
    _untouched(at)
    held(found.status == 0, f"the search does not go on: {found.line()}")
    held(RECORDED not in (folder / "found.flow.yaml").read_text(), "what was put there is what it found")


@attempt("models", "run folder", slow=True)
def a_journal_that_proposes(at: Ground) -> None:
    """a journal whose proposals hold a workflow with a model in it: report, show and the same search read it"""
    task, folder = at.task(), at.folder / "runs" / "shared"
    again = ["optimize", task, "--model", "fake/counter", "--effort", "low", "--run-dir", folder]
    held(at.flowbot(*again).status == 0, "the search does not end")
    evil = json.loads(_flow(at, RECORDED).read_text())
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    for event in lines:
        event.update({"dump": evil} if event["event"] == "proposal" else {})
        event.update({"program": evil, "models": {"task": RECORDED}} if event["event"] == "started" else {})
    (folder / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in lines))
    for command in (["report", folder], ["show", folder, "r1"], again):
        at.flowbot(*command)
        _untouched(at)


def _search(at: Ground, *edits: dict[str, Any], flow: Any = None, **task: Any) -> tuple[list[dict[str, Any]], Any]:
    """A search by the paper's method whose meta model replies with these edits: its proposals, and what the command said."""

    def answer(asked: Asked) -> dict[str, Any]:
        wanted = json.dumps(asked.body.get("response_format") or asked.body.get("tools") or "")
        return completion(
            json.dumps({"edits": edits} if '\\"edits\\"' in json.dumps(wanted) else {"reply": "Add a step."})
        )

    start = ["--start", flow] if flow is not None else []
    with Endpoint(answer) as endpoint:
        found = at.flowbot(
            "optimize", at.task(**task), "--model", "fake/counter", "--meta-model", "openai/meta", "--method", "paper+none",
            "--effort", "low", "--run-dir", at.folder / "run", *start, **endpoint.environment,
        )  # fmt: skip
        models = {asked.body.get("model") for asked in endpoint.asked}
    held(models == {"meta"}, f"other models are asked: {models}")
    lines = (at.folder / "run" / "journal.jsonl").read_text().splitlines() if found.status in (0, 3) else []
    proposals = [event for line in lines if (event := json.loads(line))["event"] == "proposal"]
    held(proposals, f"nothing was proposed: {found.line()}")
    _untouched(at)
    return proposals, found


def _not_made(at: Ground, said: str, *edits: dict[str, Any], **more: Any) -> None:
    """Edits of a reply are refused in words that the model can act on."""
    proposals, _ = _search(at, *edits, **more)
    for each in proposals:
        held(each["workflow"] is None, f"the edit is made: {json.dumps(each['dump'])[:300]}")
        held(said in " ".join(each["errors"]), f"it is not told {said!r}: {each['errors']}")


STEP = {"kind": "llm", "in": {"word": "word"}, "out": {"count": "str"}}
AGAIN = {**STEP, "in": {"word": "word", "was": "answer.count"}}


def _insert(**parameters: Any) -> dict[str, Any]:
    told = {"instruction": "Count again.", **parameters}
    return {"op": "insert", "id": "answer", "where": "after", "name": "again", "node": AGAIN, "parameters": told}


@attempt("models", "model reply", slow=True)
def a_reply_that_names_a_recorded_file(at: Ground) -> None:
    """the meta model inserts a step whose model appends to a start-up file of the shell"""
    _not_made(at, "leave model out", _insert(model=RECORDED))


@attempt("models", "model reply", slow=True)
def a_reply_that_names_an_endpoint(at: Ground) -> None:
    """the meta model replaces the call by one of a dearer model at the user's key"""
    told = {"instruction": "Count.", "model": ENDPOINT}
    node = {**STEP, "out": {"reasoning": "str", "count": "str"}}
    _not_made(at, "leave model out", {"op": "replace", "id": "answer", "node": node, "parameters": told})


@attempt("models", "model reply", slow=True)
def a_reply_that_names_a_model_for_a_critic(at: Ground) -> None:
    """a model in the parameters of the critic that a compound edit adds"""
    _not_made(
        at, "leave model out", {"op": "review", "id": "answer", "critic": {"instruction": "?", "model": RECORDED}}
    )


@attempt("models", "model reply", slow=True)
def a_reply_that_names_a_model_in_a_body(at: Ground) -> None:
    """a model in the parameters, by path, of a loop that a rewrite brings"""
    mend = {"kind": "llm", "in": {"count": "count"}, "out": {"count": "str"}}
    carry = {"count": {"type": "str", "start": "answer.count", "next": "mend.count"}}
    loop = {"kind": "loop", "max": 1, "carry": carry, "nodes": {"mend": mend}}
    told = {"instruction": "Count."}
    edit = {
        "op": "rewrite", "outputs": {"count": "again.count"}, "nodes": {"answer": STEP, "again": loop},
        "parameters": {"answer": told, "again/mend": {**told, "model": RECORDED}},
    }  # fmt: skip
    _not_made(at, "leave model out", edit)


@attempt("models", "model reply", slow=True)
def a_reply_that_names_a_model_for_a_choice(at: Ground) -> None:
    """a model for a branch that chooses, which an edit adds as a node"""
    branch = {"kind": "branch", "in": {"word": "word"}, "ways": ["a", "b"]}
    told = {"instruction": "Which?", "model": RECORDED}
    _not_made(at, "leave model out", {"op": "add", "id": "route", "node": branch, "parameters": told})


@attempt("models", "model reply", slow=True)
def a_reply_without_bounds_on_samples(at: Ground) -> None:
    """an ensemble of 100 samples: each example costs a hundred times as much"""
    _not_made(at, "samples", {"op": "ensemble", "id": "answer", "samples": 100})


@attempt("models", "model reply", slow=True)
def a_reply_with_samples_beside_a_merge(at: Ground) -> None:
    """the same by the parameters of a step and a merge of its own"""
    node = {"kind": "merge", "how": "vote", "in": ["answer.count", "again.count"], "out": {"count": "str"}}
    edits = [
        {
            "op": "add",
            "id": "again",
            "node": STEP,
            "parameters": {"instruction": "?", "samples": 100, "temperature": 1},
        },
        {"op": "add", "id": "vote", "node": node},
        {"op": "output", "output": "count", "to": "vote.count"},
    ]
    _not_made(at, "samples 100", *edits)


@attempt("models", "model reply", slow=True)
def a_reply_with_a_temperature_of_two(at: Ground) -> None:
    """a step at a temperature at which a model writes to its limit"""
    _not_made(at, "temperature 2", _insert(temperature=2))


@attempt("models", "model reply", slow=True)
def a_reply_that_lifts_the_limit_on_tokens(at: Ground) -> None:
    """a step that may write a billion tokens"""
    _not_made(at, "max_tokens", _insert(max_tokens=10**9))


@attempt("models", "model reply", slow=True)
def a_reply_that_calls_tools_not_offered(at: Ground) -> None:
    """a step is given tools that the run does not have"""
    _not_made(at, "shell", _insert(tools=["shell"]))


@attempt("models", "model reply", slow=True)
def a_reply_that_makes_itself_permanent(at: Ground) -> None:
    """a step that the edit freezes and pins, so that no later change takes it out again"""
    edit = _insert()
    edit["node"] = {**AGAIN, "frozen": True, "model": "pinned"}
    proposals, _ = _search(at, edit)
    held(any(each["workflow"] for each in proposals), "the edit is not made at all")
    for each in proposals:
        text = json.dumps(each["dump"])
        held('"frozen"' not in text and '"pinned"' not in text, f"it is frozen: {text[:300]}")


@attempt("models", "model reply", slow=True)
def a_reply_with_examples_of_its_own(at: Ground) -> None:
    """demonstrations that no training example stands behind"""
    shown = [{"inputs": {"word": "aa", "was": "2"}, "outputs": {"count": "7"}, "example": "nowhere"}]
    _not_made(at, "no training example", _insert(demonstrations=shown))


@attempt("models", "model reply", slow=True)
def a_reply_that_takes_a_step_from_its_model(at: Ground) -> None:
    """a step asks a trusted model of the user's list; the edit replaces it by one that asks the other"""
    node = {**STEP, "out": {"reasoning": "str", "count": "str"}}
    edit = {"op": "replace", "id": "answer", "node": node, "parameters": {"instruction": "Count letters."}}
    flow = at.flow(model="openai/meta")  # the meta model stands in the list
    proposals, _ = _search(at, edit, flow=flow)
    held(any(each["workflow"] for each in proposals), "the edit is not made at all")
    for each in proposals:
        told = (each["dump"] or {}).get("parameters", {}).get("answer", {"model": "openai/meta"})
        held(told.get("model") == "openai/meta", f"the step asks another: {told}")


@attempt("models", "model reply", slow=True)
def an_instruction_that_looks_like_settings(at: Ground) -> None:
    """the new text of a step is a block of settings with a model in it"""
    text = json.dumps({"instruction": "Count.", "model": RECORDED, "code": "x"})

    def answer(asked: Asked) -> dict[str, Any]:
        return completion(json.dumps({"reply": text}))

    with Endpoint(answer) as endpoint:
        found = at.flowbot(
            "optimize", at.task(), "--model", "fake/counter", "--meta-model", "openai/meta", "--effort", "low",
            "--method", "none+layerwise", "--run-dir", at.folder / "run", **endpoint.environment,
        )  # fmt: skip
    _untouched(at)
    held(found.status == 0, f"the search does not end: {found.line()}")
    for line in (at.folder / "run" / "journal.jsonl").read_text().splitlines():
        event = json.loads(line)
        for told in ((event.get("dump") or {}).get("parameters") or {}).values():
            held("model" not in told, f"a model is set: {told}")


@attempt("models", "model reply", slow=True)
def a_change_that_the_journal_does_not_tell(at: Ground) -> None:
    """an edit called `insert` that also draws samples and sets a temperature, in a line that says neither"""
    node = {"kind": "merge", "how": "vote", "in": ["answer.count", "again.count"], "out": {"count": "str"}}
    edits = [
        {
            "op": "add",
            "id": "again",
            "node": STEP,
            "parameters": {"instruction": "?", "samples": 5, "temperature": 0.9},
        },
        {"op": "add", "id": "vote", "node": node},
        {"op": "output", "output": "count", "to": "vote.count"},
    ]
    proposals, _ = _search(at, *edits)
    told = {(each["node"], each["parameter"]): each["new"] for each in proposals[0].get("parameters", ())}
    held(told.get(("again", "samples")) == 5, f"the samples are not told: {told}")
    held(told.get(("again", "temperature")) == 0.9, f"the temperature is not told: {told}")
    page = at.folder / "run" / "report.html"
    held("temperature 0.9" in page.read_text(), "the report does not tell it")
