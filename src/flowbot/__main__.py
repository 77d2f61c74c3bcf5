"""`python -m flowbot` is `flowbot`."""

from .cli import main

main()
