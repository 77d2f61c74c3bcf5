"""Where a framework asks the model of the run, whose own connections pass no tap: an address that nobody has."""

RUN_MODEL = "http://model.flowbot.invalid/v1"
"""A base URL: what is posted there is answered by the run's model, and refused where there is none."""
