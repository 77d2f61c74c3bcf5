"""Entry points: what installed packages offer under the groups of FlowBot, found by name.

Looking a name up reads the metadata of what is installed and imports nothing. Code of a package runs when somebody asks for its
name, and of no other package. Sources: the entry points specification of the Python Packaging Authority; `importlib.metadata`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from .bounds import raised
from .errors import UserError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Group: TypeAlias = Literal["methods", "patterns", "metrics", "tools", "models"]
"""What may be offered: the entry point group is `flowbot.` and this."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """An object of an installed package.

    Args:
        group: what it is offered as.
        name: by which it is asked for.
        package: name and version of the distribution that offers it.
        entry: where it stands.
    """

    group: Group
    name: str
    package: str
    entry: EntryPoint

    def load(self) -> object:
        """The object; its module is imported.

        Raises:
            UserError: naming package and entry, if it cannot be imported or is not there.
        """
        try:
            return self.entry.load()
        except (Exception, SystemExit) as error:
            what = f"{self.entry.value} cannot be loaded ({raised(error).splitlines()[0]})"
            raise UserError(self.place, what=what, mend="mend the package, or uninstall it") from error

    def refused(self, found: str, expected: str) -> UserError:
        """The error for an object that is not what its group holds."""
        return UserError(self.place, f"{found} at {self.entry.value}", expected)

    @property
    def place(self) -> str:
        """How errors name it."""
        return f"flowbot.{self.group} {self.name!r} of the package {self.package}"

    def identity(self, own: str = "") -> str:
        """What tells it from other objects: name, package with version, and what its code is known by."""
        return f"{self.name} of {self.package}{f': {own}' if own else ''}"


def plugin_names(group: Group) -> list[str]:
    """The names that installed packages offer in a group, sorted; nothing is imported."""
    return sorted({each.name for each in _entries(group)})


def find_plugin(group: Group, name: str) -> Plugin | None:
    """What an installed package offers under a name, not loaded; None where none does.

    Raises:
        UserError: if several packages offer it.
    """
    found = [Plugin(group, name, _package(each), each) for each in _entries(group) if each.name == name]
    if len(found) > 1:
        packages = " and ".join(sorted(each.package for each in found))
        raise UserError(f"flowbot.{group} {name!r}", f"{packages}, which both offer it", "one package that does")
    return found[0] if found else None


def _entries(group: Group) -> list[EntryPoint]:
    from importlib.metadata import entry_points  # dear to import, and seldom needed

    return list(entry_points(group=f"flowbot.{group}"))


def _package(entry: EntryPoint) -> str:
    return "?" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
