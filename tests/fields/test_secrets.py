"""What is secret is masked in every form in which it is written, and nothing else is."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from flowbot.fields import UserError, secrets
from flowbot.fields.secrets import (
    MASK,
    Redactor,
    declare,
    declare_headers,
    declare_passed,
    hide,
    hide_known,
    public_url,
)

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAy8Dbv8prpJ/0\nkKhlGeJYozo2t60EG8L0561g==\n-----END RSA PRIVATE KEY-----"
WRITERS: list[Callable[[str], str]] = [
    str,
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(json.dumps(text))[3:-3],
    html.escape,
    lambda text: str(escape(text)),
    lambda text: quote(text, safe=""),
    quote,
    quote_plus,
    lambda text: repr(text)[1:-1],
    lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
]
# Neither parts of the mask nor what a form of one value shares with the text around it.
VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="[]secrt"), min_size=8, max_size=40
)


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_declared", frozenset())


@settings(max_examples=300, deadline=None)
@given(VALUES, st.sampled_from(WRITERS), st.sampled_from(["", "\n", ": "]))
def test_no_form_of_a_value_is_left(value: str, write: Callable[[str], str], around: str) -> None:
    written = write(value)
    masked = Redactor([value]).text(around + written + around)
    assert written not in masked
    assert masked == around + MASK + around


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_masking_twice_is_masking_once_and_data_without_secrets_stays(data: object) -> None:
    assert hide(hide(data)) == hide(data)
    assert hide_known(data) == data


def test_values_stand_in_names_and_numbers_too() -> None:
    redactor = Redactor(["hunter2-hunter2", "8675309001"])
    found = redactor.data({"hunter2-hunter2": [8675309001, 1.5, True, None, ("a hunter2-hunter2",)], "n": 12})
    assert found == {MASK: [MASK, 1.5, True, None, [f"a {MASK}"]], "n": 12}


def test_a_value_as_short_as_a_word_is_none() -> None:
    assert Redactor(["x", "postgre"]).text("x of postgre") == "x of postgre"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdEFGH0123456789abcd",
        "sk-ant-api03-abcdEFGH0123456789",
        "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB",
        "github_pat_11ABCDEFG0123456789_abcdefghijklmnop",
        "xoxb-123456789012-abcdefghijkl",
        "AKIAIOSFODNN7EXAMPLE",
        "AIzaSyA-0123456789abcdefghijklmnopqrstuv"[:39],
        "hf_abcdefghijklmnopqrst012345678901",
        "sk_live_0123456789abcdefXYZ",
        JWT,
        PEM,
        json.dumps(PEM)[1:-1],
    ],
)
def test_the_shape_of_a_secret(secret: str) -> None:
    assert hide(f"so: {secret}, then") == f"so: {MASK}, then"
    assert hide_known(secret) == secret


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://bob:pa55@db/x", f"postgresql://bob:{MASK}@db/x"),
        ("https://0123456789abcdef01@sentry.io/1", f"https://{MASK}@sentry.io/1"),
        ("https://api.example/v1?key=abc&n=1", f"https://api.example/v1?key={MASK}&n=1"),
        ("?x=1&amp;api_key=abc&amp;y", f"?x=1&amp;api_key={MASK}&amp;y"),
        ("a?sig=a%2Fb'", f"a?sig={MASK}'"),
        ("Authorization: Bearer abc123def", f"Authorization: Bearer {MASK}"),
        ("Authorization: Basic Ym9iOnBhNTU=", f"Authorization: Basic {MASK}"),
        ("key sk-ab****yz given", f"key {MASK} given"),
    ],
    ids=range(8),  # pytest puts a test's name into the environment
)
def test_urls_and_headers(text: str, shown: str) -> None:
    assert hide(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Bearer authentication is required",
        "ssh://git@github.com/a/b and bob@example.org, user:name",
        "a?page_token=1&monkey=2&key",
        "task-proj-abcdefgh0123456789abcd risk-0123456789abcdefgh",
        "sk-learn-is-a-library-of-python",
        "5f2c1d9e8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e",
        "123e4567-e89b-12d3-a456-426614174000 eyJ.eyJ",
        "-----BEGIN PRIVATE KEY----- is how a key begins, and -----END PRIVATE KEY----- how it ends",
        "** bold ** key ** stone",
    ],
)
def test_ordinary_texts_stay(text: str) -> None:
    assert hide(text) == text


def test_nothing_in_the_examples_and_the_docs_is_eaten() -> None:
    root = Path(__file__).parents[2]
    paths = [
        path
        for folder in ("examples", "docs")
        for path in (root / folder).rglob("*")
        if path.suffix in (".md", ".jsonl", ".yaml", ".txt", ".sql", ".csv")
    ]
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    assert len(texts) > 40
    assert [path for path, text in texts.items() if hide(text) != text] == []


def test_variables_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "OPENAI_API_KEY": "val-openai-1",
        "MY_SERVICE_TOKEN": "val-token-1",
        "PGPASSWORD": "val-pg-pass",
        "PGPASS": "val-pgpass-2",
        "MYSQL_PWD": "val-mysql-1",
        "AWS_SECRET_ACCESS_KEY": "val/aws+secret",
        "AWS_ACCESS_KEY_ID": "val-aws-id",
        "AWS_SESSION_TOKEN": "val-aws-session",
        "GIT_CREDENTIALS": "val-git-cred",
        "REDIS_URL": "redis://:val%2Fredis@host:6379/0",
        "SENTRY_DSN": "https://0123456789abcdef0123@sentry.io/1",
        "AZURE_CONNECTION_STRING": "Endpoint=sb://x;SharedAccessKey=val-azure-1=",
        "SOME_SETTINGS": "host=db user=bob password=val-dsn-9",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    for value in values.values():
        assert hide(f"<{value}>") == f"<{MASK}>"
    for part in ("val/redis", "val%2Fredis", "0123456789abcdef0123", "val-azure-1=", "val-dsn-9"):
        assert part not in hide(f"it is {part}")
    monkeypatch.delenv("OPENAI_API_KEY")
    assert hide("val-openai-1") == "val-openai-1"


def test_variables_that_hold_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "AWS_REGION": "us-east-1",
        "SSH_ASKPASS": "/usr/bin/askpass",
        "GOOGLE_APPLICATION_CREDENTIALS": "/home/bob/google.json",
        "KEYBOARD_LAYOUT": "de-latin1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    text = " ".join(values.values())
    assert hide(text) == text


def test_what_is_declared() -> None:
    declare("declared-1", "https://bob:declared-2@host/?x=1")
    declare_passed({"SETTING": "declared-3", "HOME": "/home/bobby", "PATH": "/usr/local/bin"})
    declare_headers({"X-Api-Key": "declared-4", "Authorization": "Basic declared-5", "Accept": "application/json"})
    text = "declared-1 declared-2 declared-3 declared-4 declared-5 /home/bobby /usr/local/bin application/json"
    assert hide_known(text) == f"{MASK} {MASK} {MASK} {MASK} {MASK} /home/bobby /usr/local/bin application/json"


def test_no_error_holds_a_secret() -> None:
    declare("declared-secret")
    error = UserError("where declared-secret", "found declared-secret", "no declared-secret")
    assert "declared-secret" not in f"{error} {error!r} {vars(error)}"


def test_names_of_members_that_are_words_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SORT_KEY", "expected")
    monkeypatch.setenv("SHOP_PASSWORD", "difference")
    assert secrets.hide({"expected": "is expected", "difference": 1}) == {"expected": "is expected", "difference": 1}
    assert secrets.hide({"said": "a difference"}) == {"said": f"a {MASK}"}
    monkeypatch.setenv("SHOP_KEY", "abc-4711-xyz")
    assert secrets.hide({"abc-4711-xyz": 1}) == {MASK: 1}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host:1/v1", "https://host:1/v1"),
        ("https://host/v1?api-version=2024-10-21", "https://host/v1?api-version=2024-10-21"),
        ("https://host/v1?key=abc&api-version=1", f"https://host/v1?key={MASK}&api-version=1"),
        ("https://host/v1?who=0123456789abcdef0123", f"https://host/v1?who={MASK}"),
        ("https://bob:pass@host/v1", "https://host/v1"),
    ],
)
def test_a_url_to_show_and_store(url: str, shown: str) -> None:
    assert public_url(url) == shown


@pytest.mark.parametrize(
    "part",
    [
        "://a:a:a:",
        "://aaaa",
        "eyJ-",
        "eyJaaaaaaaaaa.",
        "key-",
        "sk-",
        "sk-**",
        "xoxb-",
        "bearer ",
        "?key",
        "authorization:   ",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nA: x A: x\n",
        "A: x A: x\n",
        "hf_",
        "ghp_a",
    ],
    ids=range(16),
)
def test_no_text_takes_long(part: str) -> None:
    begin = "-----BEGIN PRIVATE KEY-----\n" if part.startswith("A") else ""
    text = begin + part * (200_000 // len(part)) + " @ = ** PRIVATE KEY eyJ"
    assert len(hide(text)) <= len(text)


def test_data_deeper_than_is_looked_at_is_masked() -> None:
    data: object = "deep"
    for _ in range(900):
        data = [data]
    assert MASK in json.dumps(hide(data))
    assert "deep" not in json.dumps(hide(data))
