"""FlowBot as the optimiser of MLflow's `optimize_prompts`, for real, in an environment of its own.

    python benchmarks/mlflow_prompts.py OUT [--model MODEL --meta-model MODEL --effort 100]

Two prompts of the registry, in a pipeline of two calls of the openai package (the shop of `benchmarks/shop`); 48 rows. The environment has
FlowBot's own needs and MLflow, and is made once in the cache folder. Prints the verdict and the prompts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NEEDS = ["mlflow==3.17.0", "openai==3.57.0", "xllamacpp>=2026.10.11549,<2027"]
TEXTS = {
    "plan": "Write a search query for the customer's message: {{message}}",
    "reply": "Answer the customer's message from the help pages.\n\nHelp pages:\n{{pages}}\n\nMessage: {{message}}",
}


def inside(options: argparse.Namespace) -> None:
    """In the environment: register, optimise, print."""
    import mlflow
    import openai
    from mlflow.entities import Feedback
    from mlflow.genai.scorers import scorer

    from flowbot.bridges.mlflow import FlowBotPromptOptimizer
    from flowbot.task.compare import f1
    from shop.pages import search

    out: Path = options.out.resolve()
    place = out / "mlflow"
    mlflow.set_tracking_uri(f"sqlite:///{place}.db")
    found = mlflow.get_experiment_by_name("shop")
    known = found.experiment_id if found else mlflow.create_experiment("shop", artifact_location=str(place))
    mlflow.set_experiment(experiment_id=known)
    prompts = {name: mlflow.genai.register_prompt(name=name, template=text) for name, text in TEXTS.items()}
    client = openai.OpenAI(api_key=os.environ.get("OPENAI_API_KEY", "none"), max_retries=0)

    def ask(text: str) -> str:
        said: Any = [{"role": "user", "content": text}]
        reply = client.chat.completions.create(model="gpt-4.1-mini", messages=said, temperature=0, max_tokens=60)
        return (reply.choices[0].message.content or "").strip()

    def predict(message: str) -> str:
        query = ask(str(prompts["plan"].format(message=message)))
        return ask(str(prompts["reply"].format(pages="\n\n".join(search(query)), message=message)))

    @scorer
    def overlap(outputs: Any, expectations: dict[str, Any]) -> Feedback:
        verdict = f1(str(outputs), expectations["expected_response"])
        return Feedback(value=verdict.value, rationale=verdict.fault)

    lines = [line for split in ("train", "val") for line in (HERE / f"shop/{split}.jsonl").read_text().splitlines()]
    rows = [
        {"inputs": {"message": row["message"]}, "expectations": {"expected_response": row["answer"]}}
        for row in map(json.loads, lines)
    ]
    optimizer = FlowBotPromptOptimizer(
        lm=options.model, meta_lm=options.meta_model, max_calls=2, effort=options.effort, run_dir=out / "run",
        goal="Answer a customer of a shop from its help pages, in as few words as the answer takes.",
    )  # fmt: skip
    made = mlflow.genai.optimize_prompts(
        predict_fn=predict, train_data=rows, prompt_uris=[each.uri for each in prompts.values()], optimizer=optimizer,
        scorers=[overlap],
    )  # fmt: skip
    print(optimizer.result.verdict if optimizer.result else "")
    scores = {"initial": made.initial_eval_score, "final": made.final_eval_score}
    print(json.dumps({**scores, "prompts": {each.name: each.template for each in made.optimized_prompts}}, indent=1))


def main() -> None:
    """Make the environment, and run this file in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--meta-model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--effort", type=int, default=100)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.inside:
        inside(options)
        return
    from flowbot.store import default_cache_dir
    from pipelines.__main__ import environment

    python = asyncio.run(environment("mlflow", NEEDS, default_cache_dir() / "pipelines"))
    path = os.pathsep.join((str(HERE.parent / "src"), str(HERE)))
    env = {**os.environ, "PYTHONPATH": path, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    sys.exit(subprocess.run([python, __file__, *sys.argv[1:], "--inside"], env=env, check=False).returncode)


if __name__ == "__main__":
    main()
