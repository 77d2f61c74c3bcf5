"""What is said of recorded runs: textual feedback, and the votes that it leads to."""
