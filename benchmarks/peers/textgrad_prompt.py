"""TextGrad (Yuksekgonul et al. 2024, arXiv 2406.07496): one prompt, by textual gradients.

Its own protocol of prompt optimisation, as its paper (section 3.3) and its evaluation script have it: batches of three training rows;
a loss a row from a string-based function, which here gives the task's score and its words; the sum of the losses backward; one step of
textual gradient descent; and back to the prompt before where the validation set, run after each step, scores lower. The prompt is a
system prompt that starts as the task's goal; the form of the answer stands in the user's message, so that no step can lose it. Engines
ask at temperature 0, as its own do, and keep no cache. Its gradients are kept in sets, so a run cannot be made twice the same.
"""

from __future__ import annotations

import json
import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no request goes elsewhere
os.environ["TEXTGRAD_LOG_DIR"] = os.path.expanduser("~")  # it writes where it is started otherwise

import textgrad as tg
from job import Job, NotScored, OverBudget, ask
from plain_cot import form, last_object
from textgrad.autograd.string_based_ops import StringBasedFunction
from textgrad.engine import EngineLM

BATCH = 3
THREADS = 8
TOKENS = 2000
"""Of a reply at most, as in its own engines."""


class Engine(EngineLM):
    """A model at the proxy.

    Args:
        url: of the search, or of the test.
        model: its name there.
    """

    def __init__(self, url: str, model: str) -> None:
        self._url = url
        self.model_string = model

    def generate(self, prompt: Any, system_prompt: str | None = None, **options: Any) -> str:
        """The reply to a prompt."""
        messages = [{"role": "system", "content": system_prompt or self.system_prompt}]
        messages += [{"role": "user", "content": prompt}]
        return ask(self._url, self.model_string, messages, temperature=0, max_tokens=TOKENS)

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        """As `generate`."""
        return self.generate(*args, **kwargs)


class Search:
    """A job as TextGrad sees it.

    Args:
        job: the job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        tg.set_backward_engine(Engine(job.search_url, job.models["meta"]), override=True)
        role = (
            "structured system prompt to a somewhat capable language model that specifies the behavior and strategies"
        )
        self.prompt = tg.Variable(job.task["goal"], requires_grad=True, role_description=role)
        self.optimizer = tg.TextualGradientDescent(parameters=[self.prompt])
        self.model = tg.BlackboxLLM(Engine(job.search_url, job.models["task"]), self.prompt)
        self.best = (-1.0, self.prompt.value)
        self.answers: dict[str, Any] = {}
        self.steps = 0

    def run(self) -> str:
        """Search until the ceiling; why it ended."""
        rows = list(self.job.train)
        shuffle = random.Random(self.job.seed)
        unread = 0
        try:
            self.validate()
            while self.best[0] < 1 and unread < 5:
                shuffle.shuffle(rows)
                for start in range(0, len(rows), BATCH):
                    try:
                        self.step(rows[start : start + BATCH])
                    except IndexError:  # what it raises where the reply holds no new prompt
                        unread += 1
                        continue
                    unread = 0
                    self.validate()
        except OverBudget:
            return "at the ceiling"
        return "with a perfect validation score" if self.best[0] >= 1 else "on replies that hold no new prompt"

    def step(self, rows: list[dict[str, Any]]) -> None:
        """One step of textual gradient descent on a batch.

        Raises:
            IndexError: if the reply holds no new prompt.
            OverBudget: at the ceiling.
        """
        self.optimizer.zero_grad()
        losses: list[Any] = []
        for row in rows:
            question = tg.Variable(
                self.question(row), requires_grad=False, role_description="query to the language model"
            )
            answer = self.model(question)
            losses.append(self.loss(row)(inputs={"prediction": answer}))
        tg.sum(losses).backward()
        self.optimizer.step()
        self.steps += 1

    def loss(self, row: dict[str, Any]) -> Any:
        """The task's metric on a row, as a function of a text that gives a text."""

        def fn(prediction: Any) -> str:
            value, why = self.score("train", row, prediction.value)
            return f"{value:g}. {why}".strip()

        about = f"scores the prediction from 0 to 1 and says what is wrong. The metric: {self.job.task['metric']}"
        return StringBasedFunction(fn, function_purpose=about)

    def validate(self) -> None:
        """Run the validation set; where it scores lower, go back to the best prompt."""
        with ThreadPoolExecutor(THREADS) as pool:
            texts = list(pool.map(lambda row: self.answer(row, self.prompt.value, self.job.search_url), self.job.val))
        scores = [self.score("val", row, text)[0] for row, text in zip(self.job.val, texts, strict=True)]
        mean = sum(scores) / max(1, len(scores))
        print(f"step {self.steps}: {mean:.3f} on validation", flush=True)
        if mean >= self.best[0]:
            self.best = (mean, self.prompt.value)
            self.answers = {row["id"]: last_object(text) for row, text in zip(self.job.val, texts, strict=True)}
        else:
            self.prompt.set_value(self.best[1])

    def score(self, split: str, row: dict[str, Any], text: str) -> tuple[float, str]:
        """What a reply scores, and why."""
        outputs = last_object(text)
        try:
            return (
                self.job.score(split, row["id"], outputs) if outputs else (0.0, "there is no JSON object in the answer")
            )
        except NotScored:
            return 0.0, "the judge gave no verdict"

    def question(self, row: dict[str, Any]) -> str:
        """What the model is asked."""
        return f"{json.dumps(row['inputs'], ensure_ascii=False)}\n\n{form(self.job.task)}"

    def answer(self, row: dict[str, Any], prompt: str, url: str) -> str:
        """The reply for a row."""
        return Engine(url, self.job.models["task"]).generate(self.question(row), system_prompt=prompt)


def main() -> None:
    """Search, answer the test rows and write the predictions."""
    search = Search(Job(sys.argv[1]))
    job, ended = search.job, search.run()
    prompt = search.best[1]
    with ThreadPoolExecutor(THREADS) as pool:
        texts = list(pool.map(lambda row: search.answer(row, prompt, job.test_url), job.test))
    predictions = {row["id"]: last_object(text) for row, text in zip(job.test, texts, strict=True)}
    facts = f"{search.steps} steps, a prompt of {len(prompt):,} characters"
    said = f"TextGrad (0.1.8), ended {ended}: {facts}"
    job.write(predictions, {"summary": said, "val_score": search.best[0], "prompt": prompt}, val=search.answers)


if __name__ == "__main__":
    main()
