"""MLflow's `optimize_prompts` on a LangGraph agent, with the optimiser that it ships: `GepaPromptOptimizer`.

As its documentation has it: prompts of the registry, read by `format()` in `predict_fn`, LangChain traced by itself, a scorer with a
rationale. Beside that gepa is handed validation rows of their own, as the other methods have them, and the end at the ceiling.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module
from importlib.metadata import version
from typing import Any

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

import mlflow
from graph_peer import TEXTS, Setting, Texts, run
from mlflow.entities import Feedback
from mlflow.genai.optimize import GepaPromptOptimizer
from mlflow.genai.scorers import scorer

# MLflow's hook on imports holds a lock of its own: where litellm imports in a thread while MLflow imports as well, each waits for the other's lock. So these
# are imported here, or known not to be there.
for name in (
    "litellm.proxy.spend_tracking.savings",
    "openai.resources.beta.chat.completions",
    "openai.resources.responses",
):
    try:
        import_module(name)
    except Exception:
        sys.modules[name] = None  # type: ignore[assignment]


def search(setting: Setting) -> Texts:
    """What MLflow finds."""
    place = tempfile.mkdtemp()
    mlflow.set_tracking_uri(f"sqlite:///{place}/mlflow.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("agent", artifact_location=f"{place}/artifacts"))
    mlflow.langchain.autolog()
    prompts = {name: mlflow.genai.register_prompt(name=name, template=text) for name, text in TEXTS.items()}
    rows = {row["input"]: row for row in (*setting.train, *setting.val)}

    def predict(message: str) -> str:
        return setting.run(lambda name: prompts[name].format(), message)["answer"]

    @scorer
    def right(inputs: dict[str, Any], outputs: Any) -> Feedback:
        value, why = setting.score(rows[inputs["message"]], str(outputs))
        return Feedback(value=value, rationale=why)

    def data(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {"inputs": {"message": row["input"]}, "expectations": {"expected_response": row["answer"]}} for row in given
        ]

    own = setting.settings()
    optimizer = GepaPromptOptimizer(
        reflection_model=f"openai:/{setting.job.models['meta']}",
        max_metric_calls=own.pop("max_metric_calls"),
        gepa_kwargs={**own, "valset": data(setting.val), "reflection_lm_kwargs": {"temperature": 1}},
    )
    found = mlflow.genai.optimize_prompts(
        predict_fn=predict, train_data=data(setting.train), prompt_uris=[each.uri for each in prompts.values()],
        optimizer=optimizer, scorers=[right],
    )  # fmt: skip
    return {each.name: each.template for each in found.optimized_prompts}


if __name__ == "__main__":
    run(search, f"MLflow {version('mlflow')}, gepa {version('gepa')}")
