"""What is wrong with a command line that is none of ours, in one line."""

from __future__ import annotations

from cyclopts import App, CycloptsError, MissingArgumentError, UnknownCommandError, UnusedCliTokensError

from flowbot.fields.near import nearest, one_of

from .variables import variable


def misuse(error: CycloptsError, app: App) -> str:
    """What the error says, without a full stop at its end."""
    match error:
        case MissingArgumentError():
            return _missing(error)
        case UnknownCommandError():
            return _no_verb(error.unused_tokens or [], app)
        case UnusedCliTokensError():
            of = error.app or app
            tokens = [str(each) for each in error.unused_tokens or []]
            return _no_verb(tokens, of) if _verbs(of) else f"nothing takes {', '.join(map(repr, tokens))}"
        case _:
            return f"{error}".rstrip(".")


def _missing(error: MissingArgumentError) -> str:
    argument = error.argument
    slip = next((str(each) for each in error.unused_tokens or () if str(each).startswith("--")), "")
    if slip and argument is not None and nearest(slip, argument.names):
        return f"there is no option {slip} (did you mean {argument.name}?)"
    if argument is None or error.keyword or argument.tokens:
        return f"{error.keyword or (argument and argument.name)} needs a value"
    other = f" (or the environment variable {variable(argument)})" if argument.parameter.show_env_var else ""
    return f"{argument.name} is missing{other}"


def _no_verb(tokens: list[str], app: App) -> str:
    first = next(iter(tokens), "")
    kind = "option" if first.startswith("-") else "command"
    return f"there is no {kind} {first!r}; give {one_of(first, _verbs(app))}"


def _verbs(app: App) -> list[str]:
    return [name for name in app if not name.startswith("-")]
