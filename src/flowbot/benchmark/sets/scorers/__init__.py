"""How sets score an answer, by their publishers' rules."""
