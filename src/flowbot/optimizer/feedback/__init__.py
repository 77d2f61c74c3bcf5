"""What is said of recorded runs: which runs to look at, whom they speak against, gradients through them, and votes."""
