"""What is said of recorded runs: which runs to look at, which step they speak against, and textual gradients through them."""
