"""`python -m flowbot.cli` is `flowbot`."""

from . import main

main()
