"""What is learned once the networks are."""
