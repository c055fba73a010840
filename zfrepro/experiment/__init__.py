"""One experiment: its file read and checked, its reductions listed, its cost estimated."""
