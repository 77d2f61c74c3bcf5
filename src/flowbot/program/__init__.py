"""What a user's own pipeline imports: texts and values that can be tuned, steps, places to fill. The standard library only."""
