"""Web addresses and certificates of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from flowbot.fields import UserError
from flowbot.lm.addresses import address, check_certificates


@pytest.mark.parametrize(
    "text",
    [
        "http://[bad", ":::", "http://", "http://a:b:c", "http://x:99999", "http://\udcff", "http://a b/", "socks5://x:1",
        "file:///etc/passwd", "http://" + "a" * 300 + ".com", "", "http://x:-1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_its_text(text: str) -> None:
    with pytest.raises(UserError, match=r"VARIABLE: found .*; expected http") as caught:
        address(text, "VARIABLE")
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("http://127.0.0.1:9/v1", "127.0.0.1", 9),
        ("https://[::1]:80", "::1", 80),
        ("example.com", "example.com", None),
        ("http://user:pw@bücher.example/x?y=1", "bücher.example", None),
    ],
)
def test_addresses_are_taken_apart(text: str, host: str, port: int | None) -> None:
    found = address(text, "VARIABLE")
    assert (found.hostname, found.port) == (host, port)


@given(st.text())
def test_what_is_taken_is_a_url_everywhere(text: str) -> None:
    try:
        found = address(text, "VARIABLE")
    except UserError:
        return
    assert URL(found.geturl()).host


def test_certificates_that_cannot_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    check_certificates()
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("garbage")
    for file in (tmp_path / "none.pem", garbage):
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        with pytest.raises(UserError, match=r"SSL_CERT_FILE: found .*pem"):
            check_certificates()
