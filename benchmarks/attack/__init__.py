"""Attempts to get through FlowBot's promises, one module a group. `python benchmarks/attack OUT` makes them all."""

from __future__ import annotations

import importlib
import pkgutil

from attack.ground import ATTEMPTS, Attempt


def attempts() -> list[Attempt]:
    """Every attempt of every module of this package, in the modules' alphabetical order."""
    for module in sorted(each.name for each in pkgutil.iter_modules(__path__) if not each.name.startswith("__")):
        importlib.import_module(f"attack.{module}")
    return list(ATTEMPTS)
