"""What may be found: workflows as typed data, their file format, checker, edits and starting points."""
