"""What was found for a Python program, written into its own source: the literals of its parameters, in place."""
