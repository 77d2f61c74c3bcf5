"""The field's benchmark sets as tasks: from the publisher's own files, from normalised JSON Lines, or from the hub."""
