"""What exported Python files are made of: each takes over the functions that it needs, as they stand here.

They need the standard library and the `openai` package alone, and do what FlowBot does with a reply, a tool and a value. A type
is `str`, `int`, `float`, `bool`, `dict`, a list of one, a tuple of labels, or a dict of the members of an object.
"""
