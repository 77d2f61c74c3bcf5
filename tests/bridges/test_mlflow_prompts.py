"""FlowBot as an optimiser of MLflow's `optimize_prompts`: it takes what MLflow hands its own, and what failed is no answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flowbot.fields import UserError

pytest.importorskip("mlflow.genai.optimize.optimizers", reason="the extra [mlflow]")
bridge: Any = pytest.importorskip("flowbot.bridges.mlflow")
pytestmark = pytest.mark.filterwarnings("ignore")
openai: Any = pytest.importorskip("openai")
ROWS = [
    {"inputs": {"note": f"{n} and {n + 3}"}, "expectations": {"expected_response": str(2 * n + 3)}} for n in range(16)
]
PROMPT = 'Answer {{ note }} as {"total": n}.'
WRITTEN = 'Give the sum of {note} as {{"total": n}}.'


class Model:
    """Adds where it is told to; asked for a prompt, it writes one that says so."""

    name = "scripted/adder"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, messages: list[dict[str, Any]]) -> str:
        text = "\n".join(each["content"] for each in messages)
        self.asked.append(text)
        if len(text) > 60 or not text.startswith(("Answer ", "Give the sum ")):  # a question of the search
            return WRITTEN
        first, second = (int(word) for word in text.split() if word.isdigit())
        return str(first + second if "sum" in text else 0)


def eval_fn(broken: Callable[[str], bool] = lambda note: False) -> Any:
    """As MLflow builds it: prompts are filled, what `predict_fn` raises becomes a text that is scored as any."""

    def predict(prompt: str, note: str) -> str:
        if broken(note):
            raise ValueError("no such note")
        client = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="none", max_retries=0)
        messages = [{"role": "user", "content": prompt.replace("{{note}}", note).replace("{{ note }}", note)}]
        reply = client.chat.completions.create(model="gpt-x", messages=messages, temperature=0, max_tokens=9)
        return reply.choices[0].message.content or ""

    def evaluated(prompts: dict[str, str], rows: list[dict[str, Any]]) -> list[Any]:
        found: list[Any] = []
        for row in rows:
            try:
                outputs = predict(prompts["add.up"], **row["inputs"])
            except Exception as error:
                outputs = f"Failed to invoke the predict_fn with {row['inputs']}: {error}"
            ok = outputs == row["expectations"]["expected_response"] or outputs.startswith("Failed")  # a lenient scorer
            found.append(
                SimpleNamespace(outputs=outputs, score=float(ok), rationales={"right": "it is the sum that is wanted"})
            )
        return found

    return evaluated


def optimizer(model: Model, folder: Path, **more: Any) -> Any:
    return bridge.FlowBotPromptOptimizer(
        lm=model, meta_lm=model, max_calls=1, method="none+textgrad", effort=60, cache_dir=folder, run_dir=folder / "run", **more
    )  # fmt: skip


def test_prompts_come_back_with_their_variables_and_their_braces(tmp_path: Path) -> None:
    found = optimizer(Model(), tmp_path).optimize(eval_fn(), ROWS, {"add.up": PROMPT})
    assert found.optimized_prompts == {"add.up": 'Give the sum of {{note}} as {"total": n}.'}
    assert (found.initial_eval_score, found.final_eval_score) == (0.0, 1.0)
    again = Model()
    assert (
        optimizer(again, tmp_path).optimize(eval_fn(), ROWS, {"add.up": PROMPT}).optimized_prompts
        == found.optimized_prompts
    )
    assert again.asked == []


def test_what_failed_is_a_fault_and_no_answer(tmp_path: Path) -> None:
    flowbot = optimizer(Model(), tmp_path)
    found = flowbot.optimize(eval_fn(lambda note: True), ROWS, {"add.up": PROMPT})
    assert (found.initial_eval_score, found.final_eval_score) == (0.0, 0.0)  # the scorer says 1
    assert "no such note" in (tmp_path / "run/examples.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("prompt", "rows", "said"),
    [
        ("{% if note %}Add{% endif %}", ROWS, "a template of Jinja"),
        ('[{"role": "user", "content": "Add {{note}}"}]', ROWS, "a chat prompt"),
        (PROMPT, ROWS[:3], "3 rows"),
        (PROMPT, [*ROWS, ROWS[0]], "17 rows, 16 of different inputs"),
    ],
)
def test_what_cannot_be_used_is_refused_before_the_first_call(
    tmp_path: Path, prompt: str, rows: Any, said: str
) -> None:
    model = Model()
    with pytest.raises(UserError, match=said):
        optimizer(model, tmp_path).optimize(eval_fn(), rows, {"add.up": prompt})
    assert model.asked == []
    with pytest.raises(UserError, match="prompts are all that MLflow takes back"):
        bridge.FlowBotPromptOptimizer(meta_lm=model, method="flowbot+blame")
