"""A run's story as one self-contained HTML page, and the same facts in words for the command line."""
