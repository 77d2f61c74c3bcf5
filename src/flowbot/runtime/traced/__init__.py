"""Programs of the user's own, watched as they run: what was recorded, who read whom, where each call stands."""
