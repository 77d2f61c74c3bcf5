"""Canonical JSON and the stable hash: one text and one digest for equal values, on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no blanks and no NaN. Equal values give equal text.

    Raises:
        ValueError: for NaN or infinity.
        TypeError: for a value that JSON cannot hold.
    """
    return _CANONICAL.encode(value)


def stable_hash(value: Any) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON of `value`."""
    # A user's text may hold half a surrogate pair, as JSON escapes can; it hashes like any other.
    return hashlib.sha256(canonical_json(value).encode(errors="surrogatepass")).hexdigest()
