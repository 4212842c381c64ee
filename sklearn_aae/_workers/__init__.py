"""Processes that train together: their averages, what each does, and who looks after them."""
