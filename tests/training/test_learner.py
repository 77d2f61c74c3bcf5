"""The real learner on a model of a few thousand weights; only where torch and its friends are installed (the extra train)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import BudgetExceeded, UserError
from flowbot.training.learner import BEGUN, CHECKPOINTS, SAVED_EACH, Learning, fit, last_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore")  # those libraries warn of each other
for _name in ("torch", "trl", "peft", "transformers", "datasets"):
    pytest.importorskip(_name)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two small layers with a tokenizer of some words, as transformers saves them."""
    torch, transformers, tokenizers = (import_module(name) for name in ("torch", "transformers", "tokenizers"))

    folder = tmp_path_factory.mktemp("tiny")
    words = [
        "<unk>",
        "<end>",
        "Step",
        "1",
        "2",
        ":::",
        "process",
        "terminal",
        "use",
        "next",
        "::",
        ".",
        "plan",
        "caption",
    ]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, eos_token_id=1, pad_token_id=1
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


def test_it_learns_leaves_an_adapter_and_goes_on_where_it_was(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[int] = []

    def rewards(step: int, replies: Sequence[str]) -> list[float | None]:
        seen.append(step)
        assert all(each.startswith(BEGUN) for each in replies)
        return [float(len(each)) / 100 for each in replies] if step % 2 else [None] * len(replies)

    learning: dict[str, Any] = {"model": model, "samples": 2, "tokens": 8}
    fit(Learning(steps=4, **learning), "Write a plan.", tmp_path, rewards)
    before = last_checkpoint(tmp_path)
    assert before is not None
    assert before[0] == 4
    fit(Learning(steps=6, **learning), "Write a plan.", tmp_path, rewards)
    assert seen == [0, 1, 2, 3, 4, 5]
    assert capsys.readouterr().out == ""
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size > 0


def test_a_step_that_is_to_teach_nothing_changes_nothing(model: Path, tmp_path: Path) -> None:
    def rewards(step: int, replies: Sequence[str]) -> list[float | None]:
        return [0.0, 1.0] if step < SAVED_EACH else [None, None]

    fit(Learning(model, steps=2 * SAVED_EACH, samples=2, tokens=8), "Write a plan.", tmp_path, rewards)
    kept = [
        (tmp_path / CHECKPOINTS / f"checkpoint-{steps}" / "adapter_model.safetensors").read_bytes()
        for steps in (SAVED_EACH, 2 * SAVED_EACH)
    ]
    assert kept[0] == kept[1]


def test_a_ceiling_leaves_the_adapter_of_the_steps_before(model: Path, tmp_path: Path) -> None:
    def rewards(step: int, replies: Sequence[str]) -> list[float | None]:
        if step:
            raise BudgetExceeded("the ceiling of 1 calls", ceiling="calls")
        return [0.0, 1.0]

    with pytest.raises(BudgetExceeded):
        fit(Learning(model, steps=2, samples=2, tokens=8), "Write a plan.", tmp_path, rewards)
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size > 0


def test_weights_that_are_pickled_are_not_read(model: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(model, pickled)
    weights = import_module("safetensors.torch").load_file(str(pickled / "model.safetensors"))
    (pickled / "model.safetensors").unlink()
    import_module("torch").save(weights, pickled / "pytorch_model.bin")
    with pytest.raises(UserError, match="no model that can be read"):
        fit(Learning(pickled, steps=1), "?", tmp_path / "out", lambda step, replies: [None] * len(replies))


def test_what_is_no_model_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"nothing")
    for path in (tmp_path / "x.gguf", tmp_path):
        with pytest.raises(UserError, match="no model that can be read"):
            fit(Learning(path, steps=1), "?", tmp_path / "out", lambda step, replies: [None] * len(replies))
