"""Methods of fitted estimators as graphs that other programs run."""
