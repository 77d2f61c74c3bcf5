"""Models for tests: fake ones that follow rules, and recorded ones that say again what was said."""
