"""What stages keep in files: artifacts, networks, prepared sets, folds, checkpoints; and digests of code."""
