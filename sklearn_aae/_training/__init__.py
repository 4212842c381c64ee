"""The training: networks, critics, terms, one step."""
