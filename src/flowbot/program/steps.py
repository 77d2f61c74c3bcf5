"""`@fb.step`: a function whose calls are seen as steps. Where nobody watches, it is the function itself.

Sync and async functions, generators and async generators, and methods of classes. The step in which code runs is `current`,
set only while the function's own code runs: a generator that waits does not hide the step of who reads it.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar, cast, overload
from weakref import WeakValueDictionary

from .watching import MISSING, Call, StepInfo, current, watcher

F = TypeVar("F", bound=Callable[..., Any])
KINDS = ("step", "tool")
LONGEST = 40
"""Lines of a step's source that `described` gives."""
_KNOWN: WeakValueDictionary[str, Callable[..., Any]] = WeakValueDictionary()


@overload
def step(function: F, /) -> F: ...


@overload
def step(
    function: None = None, /, *, name: str = "", kind: str = "step", pure: bool = False, reads: Sequence[str] = ()
) -> Callable[[F], F]: ...


def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str = "",
    kind: str = "step",
    pure: bool = False,
    reads: Sequence[str] = (),
) -> Callable[..., Any]:
    """A function as a step of a program: its calls are seen, with what they were handed and gave.

        @fb.step
        async def plan(question): ...

        @fb.step(kind="tool", pure=True)
        def search(query, k): ...

    Args:
        function: sync, async, a generator or an async generator; in a class, a method.
        name: how it is called in traces; its own name where none is given.
        kind: `step`, or `tool` for a function that asks no model.
        pure: its result depends on its arguments alone: it is stored, and not made again for equal arguments.
        reads: names of the steps that it reads, where what it is handed does not tell.

    Raises:
        TypeError, ValueError: for what is no function, or a kind that there is none of.
    """
    if function is None:
        return partial(step, name=name, kind=kind, pure=pure, reads=reads)
    if isinstance(function, staticmethod | classmethod):
        made = step(name=name, kind=kind, pure=pure, reads=reads)(cast("Any", function).__func__)
        return cast("Callable[..., Any]", (staticmethod if isinstance(function, staticmethod) else classmethod)(made))
    if not inspect.isfunction(function):
        raise TypeError(f"fb.step: {function!r:.60}; expected a function")
    if kind not in KINDS:
        raise ValueError(f"fb.step: kind={kind!r:.60}; expected {' or '.join(KINDS)}")
    code, name = function.__code__, name or function.__name__
    info = StepInfo(
        name, f"{_module(function)}.{function.__qualname__.rpartition('.')[0]}.{name}".replace("..", "."), kind, pure, (reads,) if isinstance(reads, str) else tuple(reads),
        f"{code.co_filename}:{code.co_firstlineno}", inspect.getdoc(function) or "", function,
    )  # fmt: skip
    if inspect.isasyncgenfunction(function):
        seen = _async_generator(function, info)
    elif inspect.isgeneratorfunction(function):
        seen = _generator(function, info)
    elif inspect.iscoroutinefunction(function):
        seen = _async(function, info)
    else:
        seen = _sync(function, info)
    _KNOWN[info.id] = made = wraps(function)(seen)
    return made


def _module(function: Callable[..., Any]) -> str:
    """The name of a function's module; of a file that is run, or imported by its path, the file's."""
    name, plain = function.__module__, Path(function.__code__.co_filename).stem
    return plain if name == "__main__" or name.startswith("flowbot_task_") else name


def described(id: str) -> str:
    """What the step of that `StepInfo.id` is, for somebody who judges what it did: its source where that is at most `LONGEST` lines, else its signature
    and documentation; "" where none is known."""
    function = _KNOWN.get(id)
    if function is None:
        return ""
    with suppress(OSError, TypeError):
        lines = inspect.getsource(inspect.unwrap(function)).rstrip().splitlines()
        if len(lines) <= LONGEST:
            return inspect.cleandoc("\n" + "\n".join(lines))
    return "\n".join(
        filter(None, [f"def {id.rpartition('.')[2]}{inspect.signature(function)}", inspect.getdoc(function)])
    )


def _enter(info: StepInfo, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """The call as somebody sees it; None where nobody does, or the arguments do not fit, which the function itself will say."""
    watching = watcher.get()
    if watching is None:
        return None
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    return watching.enter(info, _without_self(signature, bound.arguments))


def _without_self(signature: inspect.Signature, arguments: dict[str, Any]) -> Mapping[str, object]:
    """A method's object is where it is called, not what it is handed."""
    first = next(iter(signature.parameters), "")
    return {name: value for name, value in arguments.items() if name != first or name not in ("self", "cls")}


@contextmanager
def _running(call: Call, *end: type[Exception]) -> Generator[None]:
    """While inside, code runs in this call; what it raises is how the call failed, but for `end`, how a generator says that it has no more."""
    token = current.set(call)
    try:
        yield
    except end:
        raise
    except BaseException as error:
        call.failed(error)
        raise
    finally:
        current.reset(token)


def _sync(function: Callable[..., Any], info: StepInfo) -> Callable[..., Any]:
    signature = inspect.signature(function)

    def called(*args: Any, **kwargs: Any) -> Any:
        call = _enter(info, signature, args, kwargs)
        if call is None:
            return function(*args, **kwargs)
        if (known := call.stored) is not MISSING:
            return known
        with _running(call):
            result = function(*args, **kwargs)
        if inspect.iscoroutine(result):  # a plain function that hands on what an async one gives
            return _awaited(call, cast("Coroutine[Any, Any, Any]", result))
        call.done(result)
        return result

    return called


async def _awaited(call: Call, work: Coroutine[Any, Any, Any]) -> Any:
    with _running(call):
        result = await work
    call.done(result)
    return result


def _async(function: Callable[..., Any], info: StepInfo) -> Callable[..., Any]:
    signature = inspect.signature(function)

    async def called(*args: Any, **kwargs: Any) -> Any:
        call = _enter(info, signature, args, kwargs)
        if call is None:
            return await function(*args, **kwargs)
        known = await call.known()
        return known if known is not MISSING else await _awaited(call, function(*args, **kwargs))

    return called


def _generator(function: Callable[..., Any], info: StepInfo) -> Callable[..., Any]:
    signature = inspect.signature(function)

    def called(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        call = _enter(info, signature, args, kwargs)
        if call is None:
            return (yield from cast("Generator[Any, Any, Any]", function(*args, **kwargs)))
        if (known := call.stored) is not MISSING:
            yield from known
            return None
        made: Generator[Any, Any, Any] = function(*args, **kwargs)
        given, advance = list[Any](), partial(made.send, None)
        while True:
            try:
                with _running(call, StopIteration):
                    given.append(advance())
            except StopIteration as end:
                call.done(given)
                return end.value
            try:
                advance = partial(made.send, (yield given[-1]))
            except GeneratorExit:
                made.close()
                call.done(given)
                raise
            except BaseException as error:
                advance = partial(made.throw, error)

    return called


def _async_generator(function: Callable[..., Any], info: StepInfo) -> Callable[..., Any]:
    signature = inspect.signature(function)

    async def called(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        call = _enter(info, signature, args, kwargs)
        if call is not None and (known := await call.known()) is not MISSING:
            for each in known:
                yield each
            return
        made: AsyncGenerator[Any, Any] = function(*args, **kwargs)
        given, advance = list[Any](), partial(made.asend, None)
        try:
            while True:
                try:
                    with nullcontext() if call is None else _running(call, StopAsyncIteration):
                        given.append(await advance())
                except StopAsyncIteration:
                    break
                try:
                    advance = partial(made.asend, (yield given[-1]))
                except GeneratorExit:
                    break
                except BaseException as error:
                    advance = partial(made.athrow, error)
        finally:
            await made.aclose()
        if call is not None:
            call.done(given)

    return called
