"""The prompt templates, one file each with its variables listed on top, and the one way to fill them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import PackageLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(
        loader=PackageLoader("flowbot.optimizer", "prompts"),
        undefined=StrictUndefined,
        trim_blocks=False,
        autoescape=False,
    )


def fill(template: str, **variables: Any) -> str:
    """The text of `template` (file name without its ending) with these variables.

    Raises:
        jinja2.UndefinedError: when a variable of the template is not given.
    """
    return _environment().get_template(f"{template}.jinja").render(**variables).strip()
