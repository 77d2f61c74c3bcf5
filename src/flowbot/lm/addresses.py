"""Web addresses and certificates that the environment names: checked before anything is sent."""

from __future__ import annotations

import os
import re
from urllib.parse import SplitResult, urlsplit

from flowbot.fields import UserError

_HOST = re.compile(r"[\w.:%~-]+", re.ASCII)


def address(text: str, where: str) -> SplitResult:
    """The parts of an http or https address; `http://` goes without saying.

    Args:
        text: as the user gave it. No error quotes it: it may hold a password.
        where: the variable that it stands in.

    Raises:
        UserError: if it is none.
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, _ = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:  # UnicodeError among them
        raise UserError(where, "a text that is no URL", "http(s)://HOST[:PORT][/PATH]") from None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        odd = parts.scheme.isalnum() and parts.scheme not in ("http", "https")
        found = f"a URL with {parts.scheme}://" if odd else "a text that is no URL"
        raise UserError(where, found, "http(s)://HOST[:PORT][/PATH]")
    return parts


def check_certificates() -> None:
    """Whether the certificates that the environment says to trust can be read; the library would let a bad file be.

    Raises:
        UserError: naming the variable.
    """
    import ssl

    if file := os.environ.get("SSL_CERT_FILE"):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else "no PEM"
            raise UserError("SSL_CERT_FILE", f"{file} ({said})", "a readable file of PEM certificates") from None
