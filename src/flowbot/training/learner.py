"""The open model and how it learns: RLOO (Ahmadian et al. 2024, arXiv 2402.14740) by trl, on an adapter by peft.

REINFORCE, each sample against the mean of the others of its step; low-rank matrices on the queries and values, and a price on leaving
the base model. What needs torch is imported here alone, and only by `fit`. Checkpoints are torch's own files, in the training's folder.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from flowbot.fields import BudgetExceeded, Paused, UserError

BEGUN = "Step 1:::"
"""How the reply begins, which is put into the model's mouth: small ones talk about the task otherwise."""
RANK, ALPHA, PARTS = 8, 16, ("q_proj", "v_proj")
TOP_P, TOP_K = 0.9, 40
SAVED_EACH = 2
"""Steps between two checkpoints."""
CHECKPOINTS = "checkpoints"
_NUMBER = re.compile(r"checkpoint-([0-9]{1,9})")

Rewards: TypeAlias = Callable[[int, Sequence[str]], "list[float | None]"]
"""The rewards of the samples of a step, which is counted from 0; None where the step is to teach nothing."""


@dataclass(frozen=True, slots=True)
class Learning:
    """How it learns.

    Args:
        model: a folder as `save_pretrained` of transformers writes it, or a GGUF file.
        steps: updates in all.
        samples: programs a step, at least 2.
        tokens: of a program at most.
        rate: of learning.
        beta: price of a nat that a reply is away from the base model, in reward.
        seed: of sampling, and of the adapter's first values.
        vllm: sample by vLLM on the same GPU.
    """

    model: Path
    steps: int
    samples: int = 4
    tokens: int = 512
    rate: float = 3e-4
    beta: float = 0.05
    seed: int = 0
    vllm: bool = False


def last_checkpoint(folder: Path) -> tuple[int, Path] | None:
    """The last whole checkpoint of a training and the steps that were done by then; None where there is none."""
    found = [
        (int(named[1]), path)
        for path in (folder / CHECKPOINTS).glob("checkpoint-*")
        if (named := _NUMBER.fullmatch(path.name)) and (path / "trainer_state.json").is_file()
    ]
    return max(found, default=None)


def fit(learning: Learning, question: str, folder: Path, rewards: Rewards) -> None:
    """Let the model learn, from the last checkpoint on, and write the adapter: `adapter/adapter_model.safetensors`.

    Args:
        learning: how.
        question: what the model is asked, the same at every step.
        folder: of the training.
        rewards: of samples; what it raises ends the training. At a ceiling or a wish to stop the adapter is that of the steps before.

    Raises:
        UserError: if the model cannot be read, or is of a kind that has no such layers.
    """
    torch, trl, peft = (import_module(name) for name in ("torch", "trl", "peft"))
    logging.getLogger("trl").setLevel(logging.ERROR)  # it warns of every step that is to teach nothing
    gpu = bool(torch.cuda.is_available())
    if learning.vllm and not gpu:
        raise UserError("--vllm", "no GPU that torch can use", mend="leave it out, or use a machine with one")
    model, tokenizer = _opened(learning.model, folder, torch, gpu)
    prompt, transformers, lessons = _prompt(tokenizer, question), import_module("transformers"), list[bool]()

    def reward(completions: Sequence[str], **_: Any) -> list[float | None]:
        lesson = rewards(trainer.state.global_step, [BEGUN + text for text in completions])
        lessons[:] = [any(each is not None for each in lesson)]
        return lesson

    class Skips(transformers.TrainerCallback):
        """A step that is to teach nothing changes nothing: without gradients the optimiser's momentum stands still, too."""

        def on_pre_optimizer_step(self, *_: Any, model: Any, **__: Any) -> None:
            if not lessons[-1]:
                model.zero_grad(set_to_none=True)

    config = trl.RLOOConfig(
        output_dir=str(folder / CHECKPOINTS),
        max_steps=learning.steps,
        per_device_train_batch_size=learning.samples,
        num_generations=learning.samples,
        steps_per_generation=1,
        max_completion_length=learning.tokens,
        learning_rate=learning.rate,
        lr_scheduler_type="constant",
        beta=learning.beta,
        temperature=1.0,
        top_p=TOP_P,
        top_k=TOP_K,
        seed=learning.seed,
        use_vllm=learning.vllm,
        use_cpu=not gpu,
        bf16=gpu,
        gradient_checkpointing=gpu,
        save_steps=SAVED_EACH,
        save_total_limit=2,
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        **({"vllm_mode": "colocate"} if learning.vllm else {}),
    )
    try:
        trainer: Any = trl.RLOOTrainer(
            model=model,
            reward_funcs=reward,
            args=config,
            train_dataset=import_module("datasets").Dataset.from_list([{"prompt": prompt}]),
            processing_class=tokenizer,
            callbacks=[Skips()],
            peft_config=peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(PARTS), task_type="CAUSAL_LM"),
        )
    except ValueError as error:
        raise UserError(
            str(learning.model), what=f"{error!s:.300}", mend=f"give a causal model with layers {PARTS}"
        ) from error
    trainer.remove_callback(transformers.PrinterCallback)  # standard output is the verb's
    before = last_checkpoint(folder)

    def keep() -> None:
        trainer.model.save_pretrained(str(folder / "adapter"), safe_serialization=True)

    try:
        trainer.train(resume_from_checkpoint=None if before is None else str(before[1]))
    except (BudgetExceeded, Paused):
        keep()
        raise
    keep()


def _opened(path: Path, folder: Path, torch: Any, gpu: bool) -> tuple[Any, Any]:
    """The model and its tokenizer, from files on this machine alone, without code or pickled weights of theirs. What a GGUF file holds is written
    to `base/` once, as numbers that can be learnt from and that an adapter can be put on later."""
    transformers = import_module("transformers")
    transformers.utils.logging.disable_progress_bar()
    models, tokenizers, base = transformers.AutoModelForCausalLM, transformers.AutoTokenizer, folder / "base"
    try:
        if path.is_file() and not base.is_dir():
            options, part = {"gguf_file": path.name, "local_files_only": True}, folder / "base.part"
            packed = models.from_pretrained(str(path.parent), dtype=torch.float32, **options)
            config = packed.config
            del config.quantization_config
            model = models.from_config(config)
            model.load_state_dict(packed.state_dict())
            tokenizers.from_pretrained(str(path.parent), **options).save_pretrained(str(part))
            model.save_pretrained(str(part))
            part.rename(base)  # whole or not at all
            del packed, model
        where = str(base if path.is_file() else path)
        alone = {"local_files_only": True, "trust_remote_code": False}
        tokenizer = tokenizers.from_pretrained(where, **alone)
        kind = torch.bfloat16 if gpu else torch.float32
        model = models.from_pretrained(where, dtype=kind, use_safetensors=True, **alone)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(
            str(path),
            what=f"no model that can be read: {error!s:.300}",
            mend="give a folder of transformers, or a GGUF file",
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def _prompt(tokenizer: Any, question: str) -> str:
    """The question as the model's own template has it, and the beginning of the reply."""
    if tokenizer.chat_template is None:
        return f"{question}\n\n{BEGUN}"
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False
    )
    return str(asked).removeprefix(tokenizer.bos_token or "") + BEGUN
