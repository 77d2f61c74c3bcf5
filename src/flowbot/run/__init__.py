"""What a run leaves: typed events, journal, lock, result, examples, and what can be read from them."""
