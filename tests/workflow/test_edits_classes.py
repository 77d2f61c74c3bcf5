"""The classes of edits as a whole: all are read, and models are asked for them under the same schema as ever."""

from __future__ import annotations

import json
from hashlib import sha256

from edit_samples import TOOLS, stock

from flowbot.workflow.edits.edit import Edit
from flowbot.workflow.edits.parse import EDITS
from flowbot.workflow.edits.schema import edits_schema


def test_every_class_of_edits_is_read() -> None:
    classes, found = [Edit], set[type[Edit]]()
    for each in classes:
        classes += each.__subclasses__()
        found |= {each} if "op" in vars(each) else set()
    assert found == set(EDITS.values())


def test_the_schema_is_that_of_requests_that_are_stored() -> None:
    """Replies are stored under whole requests: under another schema every stored reply of a meta model is lost."""
    schemas = edits_schema(tools=TOOLS, sketch=stock().sketch), edits_schema(("llm", "code"))
    hashes = [sha256(json.dumps(schema).encode()).hexdigest()[:16] for schema in schemas]
    assert hashes == ["bc4f22da47316d37", "4987740540ab8e83"]
