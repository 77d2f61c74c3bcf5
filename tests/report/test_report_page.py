"""The report page: complete, self-contained, and safe against what models and data write."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_sample import everywhere, final, result, write_journal, write_nested, write_sample

from flowbot.fields import UserError
from flowbot.report.examples import nested
from flowbot.report.prompts import step_prompts
from flowbot.report.report import write_report
from flowbot.run.result import Scores
from flowbot.run.view import read_run
from flowbot.stats import Estimate

VOID = {"meta", "br", "hr", "img", "input", "link", "circle", "line", "path", "rect", "polygon"}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{ 1234 * 5678 }}"


class Page(HTMLParser):
    """Collects tags and text, and checks that what opens is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def page_of(run_dir: Path) -> Page:
    return Page(write_report(run_dir).read_text(encoding="utf-8"))


def test_page_holds_every_part_that_a_reader_needs(tmp_path: Path) -> None:
    page = page_of(write_sample(tmp_path / "run"))
    words = page.words
    assert "better by 44 points (95 % interval +33 to +55)" in words
    assert "18 % → 62 %" in words
    assert "Let the LLM call list the things with their numbers" in words
    assert "The amounts are found, but they are added up wrongly" in words
    assert "running workflows on training examples" in words
    assert words.count("Chance alone") == 1  # of the test; validation chose the workflow, and claims nothing
    assert "test-001" in words
    assert "Think step by step in" in words
    assert sum(tag == "svg" for tag, _ in page.tags) >= 2 + 2 + 4
    assert {"workflow", "story", "cost", "scores", "examples", "next", "details", "p1", "p2", "p3", "p4"} <= set(
        page.ids
    )


def test_page_needs_no_network_and_runs_one_script_of_its_own_alone(tmp_path: Path) -> None:
    page = page_of(write_sample(tmp_path / "run"))
    names = {tag for tag, _ in page.tags}
    assert not names & {"link", "img", "iframe", "object", "embed", "base", "form"}
    for _, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("href", "src", "xlink:href"):
                assert (value or "").startswith("#")
    text = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" in text
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in text


def test_prompts_stand_there_whole_and_can_be_read_without_the_script(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run")
    text = write_report(run).read_text(encoding="utf-8")
    section = text.partition('<section id="prompts">')[2].partition("</section>")[0]
    blocks = [unescape(each) for each in re.findall(r"<pre[^>]*>\n(.*?)</pre>", section, re.DOTALL)]
    assert blocks == [each.text for each in step_prompts(final(), "fake/counter")]
    assert blocks[0].startswith("[system]\nList each item that is ordered with its number.")
    assert "[assistant]\n{" in blocks[0]
    assert blocks[0].endswith("[user]\n{{note}}")
    assert blocks[1].startswith("def run(items):")
    assert "<details" not in section
    assert section.count(" hidden>Copy</button>") == 2  # without the script there is none
    assert "flowbot show" in section


def test_prompts_are_told_also_where_nobody_knows_the_provider() -> None:
    known = step_prompts(final(), "openai/gpt-4.1-mini")
    odd = final().with_parameter("answer", final().parameters["answer"].model_copy(update={"model": "gone/model"}))
    told = step_prompts(odd, "other/model")
    assert [each.messages for each in told] == [each.messages for each in known]
    assert (told[0].model, known[0].model) == ("", "openai/gpt-4.1-mini")


def test_what_comes_from_outside_is_text_and_never_markup(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run", goal=HOSTILE, note=HOSTILE)
    write_journal(run, everywhere(HOSTILE))
    result(run, task=HOSTILE, method=HOSTILE, reason=HOSTILE, models={"task": HOSTILE}).save()
    page = page_of(run)
    assert [tag for tag, _ in page.tags if tag in ("script", "img")] == ["script"]
    assert "<script>alert(1)</script>" in page.words
    assert "{{ 1234 * 5678 }}" in page.words
    assert "7006652" not in page.words


def test_page_is_the_same_when_written_again(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run")
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    assert sorted(path.name for path in run.glob("report*")) == ["report.html"]


def test_a_run_that_was_killed_still_has_a_page(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run")
    for name in ("result.json", "examples.jsonl", "found.flow.yaml"):
        (run / name).unlink()
    with (run / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "verd')
    words = page_of(run).words
    assert "did not finish" in words
    assert "4 changes were tried" in words


@pytest.mark.parametrize("text", ["[]", "null", '{"calls": 3}', '{"seconds": "long"}', '{"scores"'])
def test_a_result_that_is_not_as_it_was_written_is_refused_by_name(tmp_path: Path, text: str) -> None:
    run = write_sample(tmp_path / "run")
    (run / "result.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"result\.json"):
        write_report(run)


def test_a_folder_that_is_no_run_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing: found no such run"):
        write_report(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"journal\.jsonl"):
        write_report(tmp_path)


def test_damaged_result_names_the_file(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run")
    (run / "result.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"result\.json"):
        write_report(run)


def test_lineage_and_gradients_are_those_of_each_change(tmp_path: Path) -> None:
    run = read_run(write_sample(tmp_path / "run"))
    assert [change.id for change in run.lineage] == ["p1", "p4"]
    one, two, three, four = run.changes
    assert [(each.text[:19], each.examples) for each in one.feedback] == [
        ("The amounts are fou", ("train-007", "train-031"))
    ]
    assert two.feedback == ()
    assert [each.examples for each in three.feedback] == [("train-003",)]
    assert len(four.feedback) == 4
    assert [change.outcome for change in run.changes] == ["kept", "rejected", "invalid", "kept"]
    assert run.found is not None
    assert run.found.hash == final().hash


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (Estimate(0.44, 0.33, 0.55, 100), "better by 44 points"),
        (Estimate(0.04, -0.03, 0.11, 100), "may be chance"),
        (Estimate(-0.2, -0.3, -0.1, 100), "worse by 20 points"),
        (None, "no claim is made"),
    ],
)
def test_verdict_claims_no_more_than_the_test_shows(tmp_path: Path, difference: Estimate | None, said: str) -> None:
    run = write_sample(tmp_path / "run")
    result(run, difference=Scores(test=difference)).save()
    assert said in read_run(run).verdict


def test_verdict_says_when_nothing_better_was_found(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run")
    (run / "found.flow.yaml").write_text((run / "start.flow.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    assert "no change proved better" in read_run(run).verdict


def test_verdict_of_a_pause_says_how_to_go_on(tmp_path: Path) -> None:
    run = write_sample(tmp_path / "run")
    result(run, status="paused", found=None).save()
    assert "the same command goes on" in read_run(run).verdict


def test_steps_of_a_body_stand_within_the_step_that_has_it(tmp_path: Path) -> None:
    [example] = read_run(write_nested(tmp_path / "run")).examples
    assert example.final is not None
    steps = {each.step.address: each for each in nested(example.final.trace.steps)}
    assert list(steps) == ["split", "route", "whole#1", "whole#2", "each", "best"]
    assert steps["route"].way == "one"
    inside = [each.step.address for each in steps["each"].steps]
    assert inside == ["each/guess[1]", "each/guess[2]", "each/refine[2]"]
    loop = steps["each"].steps[2]
    assert [each.step.address for each in loop.steps] == ["each/refine[2]/critic[1]", "each/refine[2]/critic[2]"]
    assert [each.failed for each in (steps["split"], steps["each"], loop)] == [False, True, True]


def test_page_shows_bodies_ways_notes_samples_and_tool_calls(tmp_path: Path) -> None:
    page = page_of(write_nested(tmp_path / "run"))
    for said in (
        "Found 9 steps",
        "route branch took one",
        "whole#2",
        "each/refine[2] loop, 2 steps failed stopped at its bound of 3 steps",
        'search(query="lamp") → {"hits": 6}',
        "fetch() there is no tool fetch",
        "each/refine/critic llm Copy [system] Is this number right?",
        "temperature 0.7, 3 samples, tools search",
        "best merge judge Copy [system] Prefer the sum.",
        "+ node each/refine: loop, at most 3 steps, until critic.ok == true",
    ):
        assert said in page.words
    drawn = {attributes["data-node"] for tag, attributes in page.tags if tag == "g" and "data-node" in attributes}
    assert {"answer", "route", "each", "each/refine", "each/refine/critic"} <= drawn
