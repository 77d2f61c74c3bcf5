"""gepa (Agrawal et al. 2025, arXiv 2507.19457) on a LangGraph agent by its own `LangChainAdapter`.

As its documentation has it: `rollout_fn` runs the graph with the candidate's texts, `eval_fn` scores the state, feedback in words, the
reflection model by `make_reflection_lm`, validation rows of their own. The adapter's default record shows the last message alone; as it
offers, the record here also has what the graph did in between.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import gepa
from gepa.adapters.langchain_adapter import LangChainAdapter, last_message_text, make_reflection_lm
from graph_peer import TEXTS, THREADS, Setting, Texts, run
from langchain_core.messages import AIMessage


def search(setting: Setting) -> Texts:
    """What gepa finds."""

    def rollout(candidate: Texts, row: Any) -> dict[str, Any]:
        state = setting.run(candidate.__getitem__, row["input"])
        return {**state, "messages": [AIMessage(state["answer"])]}

    def evaluated(row: Any, state: dict[str, Any]) -> tuple[float, str]:
        return setting.score(row, last_message_text(state))

    def record(row: Any, state: dict[str, Any], score: float, feedback: str) -> dict[str, Any]:
        between = f"pages found to be enough: {state['enough']}\npages: {state['pages']}" if "pages" in state else ""
        made = f"{between}\nanswer: {last_message_text(state)}"
        return {"Inputs": row["input"], "Generated Outputs": made, "Feedback": feedback}

    return gepa.optimize(
        seed_candidate=dict(TEXTS), trainset=setting.train, valset=setting.val,
        adapter=LangChainAdapter(
            rollout, evaluated, num_threads=THREADS, reflective_record_fn=record, show_progress=False
        ),
        reflection_lm=make_reflection_lm(setting.reflection()),
        **setting.settings(),
    ).best_candidate  # fmt: skip


if __name__ == "__main__":
    run(search, f"gepa {version('gepa')}")
