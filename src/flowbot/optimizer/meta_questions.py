"""Questions of a search to the meta model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flowbot.fields import Field, ModelError, RefusedError
from flowbot.lm.client import Message, Request
from flowbot.lm.lm import LM

from .planned_calls import PlannedCalls

META_TOKENS = 400
"""Most tokens of a reply of the meta model, unless a question says otherwise."""
WARM = 0.7
"""Temperature of every draw of a question but the first: the first is the model's best guess, the others are to differ."""


class MetaQuestions(PlannedCalls):
    """A part of `Search`, which has this member."""

    meta: LM

    async def ask_text(self, prompt: str, purpose: str, *, max_tokens: int = META_TOKENS, draw: int = 0) -> str:
        """A plain-text reply of the meta model; empty when the model fails to give one. Each `draw` is another reply."""
        values = await self._answered([Message("user", prompt)], [Field.of("reply", "str")], purpose, max_tokens, draw)
        return "" if values is None else str(values["reply"]).strip()

    async def ask_fields(
        self,
        system: str,
        user: str,
        fields: Sequence[Field],
        purpose: str,
        *,
        max_tokens: int = META_TOKENS,
        draw: int = 0,
    ) -> dict[str, Any] | None:
        """A structured reply of the meta model; None when it fails to give one. Each `draw` is another reply."""
        return await self._answered(
            [Message("system", system), Message("user", user)], fields, purpose, max_tokens, draw
        )

    async def ask(self, request: Request, purpose: str, draw: int = 0) -> str:
        """The reply of the meta model to a request as it stands.

        Raises:
            ModelError, RefusedError: as `LM.ask`.
        """
        async with self.cut_at_ceilings():
            return (await self.meta.ask(request, purpose=purpose, draw=(draw,) if draw else ())).text

    async def _answered(
        self, messages: Sequence[Message], fields: Sequence[Field], purpose: str, max_tokens: int, draw: int
    ) -> dict[str, Any] | None:
        async with self.cut_at_ceilings():
            try:
                answer = await self.meta.ask_fields(
                    messages, fields, purpose=purpose, max_tokens=max_tokens, **_drawn(draw)
                )
            except (ModelError, RefusedError):
                return None
            return dict(answer.values)


def _drawn(draw: int) -> dict[str, Any]:
    return {"draw": (draw,), "temperature": WARM} if draw else {}
