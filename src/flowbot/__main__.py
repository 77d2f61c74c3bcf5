"""`python -m flowbot` is `flowbot`."""

from flowbot.cli import main

main()
