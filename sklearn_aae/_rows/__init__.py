"""From what users have to standardised batches and back."""
