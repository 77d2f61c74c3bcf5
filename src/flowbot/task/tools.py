"""Tools: plain callables that workflows may call, with a signature read from type hints and docstring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from flowbot.fields import ToolSignature, UserError, is_name
from flowbot.fields.words import kind_of

from .identity import callable_identity, is_told_apart
from .source_code import source_identity, underlying

Effects = Literal["reads", "writes"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A callable that workflows may call by name.

    Args:
        signature: what a workflow needs to know of it.
        call: the callable, sync or async; takes its inputs as keywords.
        simulate: stands in for `call` while optimising and evaluating, for a tool that writes.
        identity: what tells `call` and `simulate` from others: their sources and what is bound to them.
        plain: True: what `call` returns is the one output `result`; False: it returns the outputs by name.
        kept: results may be stored; False where the identity does not tell the callable from others.
        timed: `call` bounds its own time, in which waiting for its turn does not count, and returns `Timed`.
    """

    signature: ToolSignature
    call: Callable[..., Any]
    simulate: Callable[..., Any] | None
    identity: str
    plain: bool = True
    kept: bool = True
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Timed:
    """What a tool that bounds its own time returns.

    Args:
        value: the result.
        seconds: that the work itself took, without waiting for its turn.
    """

    value: Any
    seconds: float


def tool_of(
    call: Callable[..., Any] | Tool,
    *,
    effects: Effects = "reads",
    simulate: Callable[..., Any] | None = None,
    pure: bool = False,
    name: str = "",
    identity: str = "",
) -> Tool:
    """A tool from a callable whose parameters and return value have type hints.

    Types: `str`, `int`, `float`, `bool`, `list[T]`, `dict`, `Literal` of texts and TypedDict; `T | None` is T. A
    TypedDict or dataclass that is returned gives one output a member, any other type the single output `result`.
    The first line of the docstring says what the tool does; a Google-style `Args:` section or `Annotated[T, "text"]`
    says what its parameters are.

    Args:
        call: the callable, sync or async.
        effects: `reads`, or `writes` for one that changes the world.
        simulate: a callable of the same parameters that stands in for one that writes.
        pure: True: the same arguments always give the same result, which then need not be stored.
        name: how workflows call it; the callable's own name if empty.
        identity: what tells it from another of the same source: an object's settings, the version of a file that it
            reads. Without it, results of what cannot be told apart (a method of an object) are not stored.

    Raises:
        UserError: naming the tool, if its signature cannot be read as types.
    """
    if isinstance(call, Tool):
        return call
    if not callable(cast("Any", call)):
        raise UserError("tools", kind_of(call), "a callable")
    from .signature import read_signature

    own = name or str(getattr(underlying(call), "__name__", type(call).__name__))
    if not is_name(own):
        raise UserError(f"tool {own}", "a name that workflows cannot use", "an identifier; give one with name=")
    if effects not in ("reads", "writes"):
        raise UserError(f"tool {own}", f"effects {effects!r}", "reads or writes")
    try:
        signature, plain = read_signature(call, f"tool {own}", own)
    except RecursionError:
        raise UserError(f"tool {own}", "a type that holds itself", "a type of bounded depth") from None
    told = _told(call, identity) + (f" as {identity}" if identity else "")
    if simulate is not None:
        if not callable(cast("Any", simulate)):
            raise UserError(f"tool {own}, simulate", kind_of(simulate), "a callable")
        other, _ = read_signature(simulate, f"tool {own}, simulate")
        if {f.name for f in other.inputs} != {f.name for f in signature.inputs} or other.outputs != signature.outputs:
            raise UserError(f"tool {own}, simulate", "other parameters or results", "those of the tool itself")
        told += f" simulated by {_told(simulate, identity)}"
    signature = replace(signature, effects=effects, pure=pure, simulated=simulate is not None)
    kept = bool(identity) or all(is_told_apart(each) for each in (call, simulate) if each is not None)
    return Tool(signature, call, simulate, told, plain=plain, kept=kept)


def _told(call: Callable[..., Any], identity: str) -> str:
    """What a callable is, less what the user's own word for it stands for: the state of an object, which changes."""
    return source_identity(call) if identity and not is_told_apart(call) else callable_identity(call)
