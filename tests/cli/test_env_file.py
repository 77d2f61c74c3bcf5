"""`.env` of the working directory: what is taken, what is not, and that it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli_help import flowbot

from flowbot.cli.env_file import MOST_BYTES, env_file
from flowbot.fields import secrets

Capture = pytest.CaptureFixture[str]
KEY = "val-0123456789"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(secrets, "_declared", frozenset())
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OLLAMA_HOST", "GROQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_keys_and_base_url_of_one_file(tmp_path: Path) -> None:
    text = f"# mine\nexport OPENAI_API_KEY='{KEY}'\nOPENAI_BASE_URL=http://127.0.0.1:1/v1\nDATABASE_URL=x\nPATH=/evil\n"
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    before = os.environ["PATH"]
    with env_file() as taken:
        assert os.environ["OPENAI_API_KEY"] == KEY
        assert os.environ["OPENAI_BASE_URL"] == "http://127.0.0.1:1/v1"
        assert os.environ["PATH"] == before
        assert taken.notice == "taken from .env: OPENAI_API_KEY, OPENAI_BASE_URL"
    assert "OPENAI_API_KEY" not in os.environ
    assert secrets.hide(KEY) == secrets.MASK


def test_a_key_of_the_environment_goes_to_no_address_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-the-environment")
    (tmp_path / ".env").write_text(f"OPENAI_BASE_URL=http://evil/v1\nOPENAI_API_KEY={KEY}\nOLLAMA_HOST=evil\n")
    with env_file() as taken:
        assert os.environ["OPENAI_API_KEY"] == "of-the-environment"
        assert "OPENAI_BASE_URL" not in os.environ
        assert "OLLAMA_HOST" not in os.environ
    assert set(taken.left_out) == {"OPENAI_BASE_URL", "OLLAMA_HOST"}
    assert "OPENAI_BASE_URL in .env is not used" in taken.notice


def test_nothing_is_interpolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "hidden-value")
    (tmp_path / ".env").write_text("GROQ_API_KEY=${SECRET_OF_MINE}$(id)\n")
    with env_file() as taken:
        assert taken.values["GROQ_API_KEY"] == "${SECRET_OF_MINE}$(id)"


def test_settings_are_the_users_to_say(tmp_path: Path) -> None:
    names = ["FLOWBOT_CACHE_DIR", "FLOWBOT_LOG_FILE", "FLOWBOT_ALLOW_WRITES", "FLOWBOT_MODELS"]
    (tmp_path / ".env").write_text("".join(f"{name}=/x\n" for name in names) + f"GROQ_API_KEY={KEY}\n")
    with env_file() as taken:
        assert list(taken.values) == ["GROQ_API_KEY"]
    assert list(taken.left_out) == names


@pytest.mark.parametrize(
    ("text", "line"),
    [("A=1\nB='x\n", 2), ("\n\nnot a line\n", 3), ('A="1" 2\n', 1)],
    ids=range(3),
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / ".env").write_text(text)
    with env_file() as taken:
        assert not taken.values
    assert taken.notice.startswith(f".env is not read: line {line} ")


def test_what_was_set_before_is_set_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "")
    (tmp_path / ".env").write_text(f"BARE\nGROQ_API_KEY={KEY}\n")
    with env_file():
        assert os.environ["GROQ_API_KEY"] == KEY
    assert os.environ["GROQ_API_KEY"] == ""


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(f"OPENAI_API_KEY={KEY}\n")
    place = tmp_path / ".env"
    place.symlink_to(elsewhere)
    with env_file() as taken:
        assert taken.notice == ".env is not read: a symbolic link"
    place.unlink()
    os.mkfifo(place)
    with env_file() as taken:
        assert taken.notice == ".env is not read: a pipe or a device"
    place.unlink()
    place.write_text("#" * (MOST_BYTES + 1))
    with env_file() as taken:
        assert "65" in taken.notice
    place.unlink()
    place.mkdir()
    with env_file() as taken:
        assert taken.notice == ""


def test_parents_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    with env_file() as taken:
        assert not taken.values


def test_the_command_line_says_so_in_one_line(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    said = flowbot(capsys, "models", "--json")
    assert said.err == "flowbot: taken from .env: OPENAI_API_KEY\n"
    openai = next(each for each in said.json["providers"] if each["provider"] == "openai")
    assert openai["key_set"]
    assert KEY not in said.out
    assert flowbot(capsys, "models", "--quiet").err == ""
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY='{KEY}\n")
    said = flowbot(capsys, "models")
    assert said.status == 0
    assert said.err.startswith("flowbot: .env is not read: line 1 ")
    assert KEY not in said.err
