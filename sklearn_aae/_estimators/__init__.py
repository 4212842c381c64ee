"""The estimators, and the parameters that they share."""
