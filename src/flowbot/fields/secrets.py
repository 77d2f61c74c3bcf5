"""The one redactor: no text that leaves (screen, file, log, span, error) holds a secret, whoever wrote it there.

What a secret is, is known from four things: values that were declared (keys of endpoints that are opened, what is passed
on to MCP servers), variables of the environment whose names say so, passwords and keys within URLs, and the shape of
well-known tokens. A declared or named value is found in every form in which FlowBot writes: plain, in JSON, HTML or a
URL, as Python shows it, in Base64. The inputs that a user sends to a model, and his flow files, are never changed.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit, urlunsplit

T = TypeVar("T")
MASK = "[secret]"
"""What stands in a secret's place."""
_DEEPEST = 100
"""Levels of data that are looked through; what lies deeper is taken for a secret."""
SHORTEST = 8
"""Characters of a value that may be a secret; shorter ones are words, and to mask them would eat texts."""
_LONGEST_WORD = 12
"""Characters of a word that stands in a key's place, such as `not-needed`."""

_NAMES = re.compile(
    r"(?:KEY|KEY_ID|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|(?<!ASK)(?<!BY)(?<!COM)PASS|(?:DB|SQL)_PWD"
    r"|CONNECTION_STRING|DATABASE_(?:URL|URI|DSN))$",
    re.IGNORECASE,
)
"""Variables that hold a secret."""
_OTHER_KEYS = re.compile(r"(?:KEY|KEY_ID|TOKEN)$", re.IGNORECASE)
"""Those whose value may be a word that is none, as of `SORT_KEY`."""
_PUBLIC = re.compile(
    r"(?:HOME|PATH|PWD|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TERM|TMPDIR|TMP|TEMP|HOSTNAME|DISPLAY|PYTHON\w+|XDG_\w+"
    r"|NODE_PATH|NODE_ENV|SSL_CERT_\w+|\w*_PROXY|APPDATA|LOCALAPPDATA|PROGRAM\w*|SYSTEM\w*|USERPROFILE)",
    re.IGNORECASE,
)
"""Variables that are passed on to programs and hold none; what is within a URL is found all the same."""
_HEADERS = re.compile(r"auth|(?<!idempotency-)key|token|secret|pass|cookie", re.IGNORECASE)
_PATHS = re.compile(r"~?/|[A-Za-z]:\\")
_QUERY = (
    r"(?:(?:api|access|subscription|secret|private|account|x)?[-_]?key|(?:access|auth|id|refresh|session|security|x-amz-security)?"
    r"[-_]?token|(?:client)?[-_]?secret|passw(?:or)?d|pwd|sig|(?:x-amz-|x-goog-)?(?:signature|credential)|sas|auth)"
)
_QUERY_NAME = re.compile(_QUERY, re.IGNORECASE)
# Here and below: one beginning to a run of characters, and one way to part it, so that no text takes long.
_IN_URL = re.compile(r"://([^\s/?#\"'<>\\@:]{0,256}:[^\s/?#\"'<>\\]{1,1024}|[\w.-]{16,256})@")
_IN_DSN = re.compile(r"\b(?:password|passwd|pwd|accountkey|sharedaccesskey)\s*=\s*'?([^\s;'\"&]+)", re.IGNORECASE)

_SHAPES: tuple[tuple[str, tuple[str, ...], re.Pattern[str], str], ...] = (
    ("@", ("://",), _IN_URL, ""),
    (
        "=",
        ("?", "&", ";"),
        re.compile(rf"([?&;]{_QUERY}=)(?!\[secret\])[^\s&#\"'<>\\`]+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (
        "-",
        ("sk-", "xai-", "glpat-", "pypi-"),
        re.compile(r"(?<![\w-])(?:sk|xai|glpat|pypi)-(?=[\w-]*[0-9])(?=[\w-]*[A-Za-z])[\w-]{16,}"),
        MASK,
    ),
    ("-", ("xox", "xapp-"), re.compile(r"(?<!\w)(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}"), MASK),
    (
        "-",
        ("PRIVATE KEY",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nrt])*(?:[\w-]{1,40}: [^\r\n\\]{0,200}(?:[\r\n]|\\[nr])+)*"
            r"[A-Za-z0-9+/=]{16,}(?:(?:\s|\\[nrt])+[A-Za-z0-9+/=]+)*(?:(?:\s|\\[nrt])*-----END [A-Z0-9 ]{0,40}-----)?"
        ),
        MASK,
    ),
    (
        "_",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "hf_", "npm_", "gsk_", "k_live_", "k_test_"),
        re.compile(
            r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|(?:hf|npm|gsk)_(?=\w*[0-9])[A-Za-z0-9]{20,}"
            r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,})"
        ),
        MASK,
    ),
    ("A", ("AKIA", "ASIA"), re.compile(r"(?<![A-Za-z0-9])A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])"), MASK),
    ("A", ("AIza",), re.compile(r"(?<!\w)AIza[\w-]{35}"), MASK),
    ("J", ("eyJ",), re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*"), MASK),
    (
        " ",
        ("earer ", "uthorization"),
        # Ordinary words follow these two, and none of them has a digit.
        re.compile(r"\b(bearer |authorization: *basic )(?=[\w.~+/-]*[0-9])[\w.~+/-]{8,}=*", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # Keys as endpoints quote them back: `sk-ab****yz`.
    ("*", ("**",), re.compile(r"(?<![\w*-])(?:sk|key|gsk|xai|AIza)[\w-]{0,80}\*{2,}[\w*-]*"), MASK),
)
"""A character and substrings of which one must be there, the pattern, and what replaces it ("" for that within a URL)."""
_MARKS = tuple(dict.fromkeys(mark for mark, *_ in _SHAPES))
_HINTS = {
    mark: tuple((hint, pattern, mask) for each, hints, pattern, mask in _SHAPES if each == mark for hint in hints)
    for mark in _MARKS
}


class Redactor:
    """Finds and masks some values in all forms in which they are written.

    Args:
        values: the secrets; those shorter than `SHORTEST` are passed over.
    """

    def __init__(self, values: Iterable[str]) -> None:
        given = {value for value in values if len(value) >= SHORTEST}
        self._forms = sorted({form for value in given for form in _forms(value)}, key=lambda form: (-len(form), form))
        self._numbers = frozenset(value for value in given if value.isdecimal())
        self._pattern = re.compile("|".join(map(re.escape, self._forms))) if self._forms else None

    def text(self, text: str) -> str:
        """The text with each value masked."""
        if self._pattern is not None and len(text) >= SHORTEST:
            for form in self._forms:  # a search for one text is much faster than a pattern, and nearly none is found
                if form in text:
                    return self._pattern.sub(MASK, text)
        return text

    def data(self, value: T) -> T:
        """JSON data with each value masked in every text, in long numbers, and in names of members that are no words."""
        if self._pattern is None:
            return value
        return cast("T", _walked(value, self.text, self._numbers))

    def numbers(self) -> frozenset[str]:
        """Values that are whole numbers."""
        return self._numbers


_declared: frozenset[str] = frozenset()
_seen: tuple[Mapping[Any, Any], frozenset[str] | None, Redactor] = ({}, None, Redactor(()))


def declare(*values: str) -> None:
    """From now on these are secrets in this process: each of them, and what is secret in it if it is a URL."""
    global _declared
    new = {each for value in values for each in (value, value.strip(), *_within(value)) if len(each) >= SHORTEST}
    if not new <= _declared:
        _declared |= new


def declare_named(variables: Mapping[str, str]) -> None:
    """Declare the secrets among variables that were set for a while: by their names, and those within URLs."""
    declare(*_named(variables))


def declare_url(url: str) -> None:
    """Declare what is secret in a URL: password, and keys in its query."""
    declare(*_within(url))


def declare_headers(headers: Mapping[str, str]) -> None:
    """Declare the values of HTTP headers whose names say that they hold a secret, with and without a word before it; a word that
    stands in a key's place is none."""
    given = (part for name, text in headers.items() if is_secret_header(name) for part in (text, *text.split()))
    declare(*(part for part in given if not is_placeholder(part)))


def is_secret_header(name: str) -> bool:
    """Whether an HTTP header's name says that it holds a secret."""
    return _HEADERS.search(name) is not None


def declare_passed(variables: Mapping[str, str]) -> None:
    """Declare the values of variables that are passed on to a program, but for `PATH`, `HOME` and their like."""
    declare(*(value for name, value in variables.items() if not _PUBLIC.fullmatch(name)))


def is_placeholder(key: str) -> bool:
    """Whether a key is a word, as is given to servers that ask for none: no secret, and a part of ordinary texts."""
    return len(key) <= _LONGEST_WORD and key.replace("_", "").replace("-", "").isalpha()


def known() -> Redactor:
    """What masks the declared values, and those of the environment by name."""
    global _seen
    # The variables as the interpreter holds them: to compare them costs a microsecond, to decode them a hundred.
    now: Mapping[Any, Any] = getattr(os.environ, "_data", os.environ)
    before, declared, redactor = _seen
    if declared is not _declared or before != now:
        redactor = Redactor((*_declared, *_named(os.environ)))
        _seen = (dict(now), _declared, redactor)
    return redactor


def hide_known(value: T) -> T:
    """JSON data or a text without known values. What tools give back is stored so: whatever only looks like a secret, as
    the token that one tool gives for another, stays as it is."""
    return known().data(value)


def hide(value: T) -> T:
    """JSON data or a text without known values and without what has the shape of a secret."""
    redactor = known()

    def text(given: str) -> str:
        return _without_shapes(redactor.text(given))

    return cast("T", _walked(value, text, redactor.numbers()))


def hide_text(text: str) -> str:
    """`hide` of a text."""
    return _without_shapes(known().text(text))


def public_url(url: str) -> str:
    """A URL as it may be shown and stored: without user and password, and with what is secret in its query masked."""
    parts = urlsplit(url)
    pairs = (pair.partition("=") for pair in parts.query.split("&"))
    query = "&".join(
        f"{name}={MASK}" if _is_secret(name, value) else f"{name}{mark}{value}" for name, mark, value in pairs
    )
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, parts.fragment))


def _without_shapes(text: str) -> str:
    if len(text) < SHORTEST:
        return text
    for mark in _MARKS:  # to look for one character costs next to nothing, and most texts lack most of them
        if mark in text:
            for hint, pattern, mask in _HINTS[mark]:
                if hint in text:
                    text = pattern.sub(mask, text) if mask else pattern.sub(_without_password, text)
    return text


def _without_password(match: re.Match[str]) -> str:
    user, colon, _ = match[1].partition(":")
    return match[0][: match.start(1) - match.start()] + (f"{user}:" if colon else "") + MASK + "@"


def _is_secret(name: str, value: str) -> bool:
    """Whether a URL's query parameter is one: by its name, or because it is as long as tokens are."""
    return bool(value) and (_QUERY_NAME.fullmatch(name) is not None or (len(value) >= 20 and not value.isalpha()))


def _named(environment: Mapping[str, str]) -> Iterator[str]:
    """The secrets of an environment."""
    for name, text in environment.items():
        value = text.strip()
        # A variable for credentials often names a file that holds them, and one for a key what to sort by.
        if _NAMES.search(name) and not (
            ("CREDENTIAL" in name.upper() and _PATHS.match(value)) or (_OTHER_KEYS.search(name) and _is_word(value))
        ):
            yield value
        if len(value) >= SHORTEST:
            yield from _within(value)


def _within(value: str) -> Iterator[str]:
    """The secret parts of a value that is a URL or a list of settings, and the whole of it; the lines of a key."""
    for match in _IN_URL.finditer(value):
        user, colon, password = match[1].partition(":")
        secret = password if colon else user
        yield from (secret, unquote(secret), match[1], unquote(match[1]), value)
    if "://" in value and "?" in value:
        try:
            pairs = parse_qsl(urlsplit(value).query)
        except ValueError:
            pairs = []
        yield from (secret for name, secret in pairs if _is_secret(name, secret))
    for match in _IN_DSN.finditer(value):
        yield from (match[1], value)
    if "PRIVATE KEY-----" in value:
        yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= 16 and "-----" not in line)


def _forms(value: str) -> Iterator[str]:
    """The ways in which a value is written."""
    text = json.dumps(value)[1:-1]
    plain = json.dumps(value, ensure_ascii=False)[1:-1]
    yield from (value, text, plain, json.dumps(text)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1])
    page = html.escape(value)
    yield from (page, page.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"), html.escape(plain), html.escape(text))
    yield from (repr(value)[1:-1], ascii(value)[1:-1], value.replace("'", "''"))
    raw = value.encode("utf-8", "surrogatepass")
    for quoted in (quote(raw), quote(raw, safe=""), quote_plus(raw)):
        yield from (quoted, re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted))
    yield from (base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("="))


def _walked(value: Any, change: Callable[[str], str], numbers: frozenset[str], depth: int = 0) -> Any:
    match value:
        case str():
            return change(value)
        case None | bool() | float():
            return value
        case int():
            long = bool(numbers) and abs(value) >= 10 ** (SHORTEST - 1)
            return MASK if long and _digits(value) in numbers else value
        case Mapping() | list() | tuple() if depth > _DEEPEST:
            return MASK
        case Mapping():
            members = cast("Mapping[Any, Any]", value).items()
            return {
                change(name) if isinstance(name, str) and not _is_word(name) else name: _walked(
                    each, change, numbers, depth + 1
                )
                for name, each in members
            }
        case list() | tuple():
            items = cast("list[Any] | tuple[Any, ...]", value)
            return [_walked(each, change, numbers, depth + 1) for each in items]
        case _:
            return value


def _is_word(text: str) -> bool:
    """Letters alone, as names of members are: what is read by its name must keep it, whatever a variable is set to."""
    return text.replace("_", "").isalpha()


def _digits(value: int) -> str:
    # Python refuses to write whole numbers of thousands of digits.
    return str(abs(value)) if value.bit_length() < 4096 else ""
