"""Talking to models: the client protocol, endpoints, local models, ledger and budgets."""
