"""Texts that look the same: composed or not, with other blanks, in other case."""

from __future__ import annotations

import unicodedata

_BLANKS = str.maketrans(dict.fromkeys("\xa0\u2007\u202f\u3000", " ") | dict.fromkeys("\u200b\u2060\ufeff", ""))


def plain_form(text: str) -> str:
    """A text as it is compared: letters composed (NFC), no-break blanks as blanks, none at the ends, none without width."""
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text.translate(_BLANKS)).strip()


def look_alike(text: str) -> str:
    """What texts have in common that differ in case, blanks or form alone."""
    folded = unicodedata.normalize("NFD", plain_form(text)).casefold()
    return unicodedata.normalize("NFC", " ".join(folded.split()))
