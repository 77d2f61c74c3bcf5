"""Packages that are none: a module and its metadata in a folder on the path, as an installation leaves them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`install(module, source, {group: {name: value}})` puts a package on the path; it is gone again after the test."""
    modules: list[str] = []

    def put(
        module: str,
        source: str,
        offers: Mapping[str, Mapping[str, str]],
        *,
        package: str = "house-rules",
        version: str = "1.0",
    ) -> None:
        folder = tmp_path / "packages" / f"{package}-{version}"
        about = folder / f"{package.replace('-', '_')}-{version}.dist-info"
        about.mkdir(parents=True)
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        lines = [
            line
            for group, entries in offers.items()
            for line in (f"[flowbot.{group}]", *(f"{name} = {value}" for name, value in entries.items()))
        ]
        (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(folder)
        modules.append(module)

    yield put
    for name in modules:
        sys.modules.pop(name, None)
