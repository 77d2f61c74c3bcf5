"""Published optimisers of prompts over our programs: on our engine, ledger, store and plan."""
