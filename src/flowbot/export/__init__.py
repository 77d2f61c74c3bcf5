"""A found workflow as what another framework runs, one file a target."""
