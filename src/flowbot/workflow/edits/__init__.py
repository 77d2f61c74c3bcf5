"""Edits: typed changes to a sketch. Models propose them, the journal keeps them, `apply` makes them."""
