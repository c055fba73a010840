"""One experiment: its file read and checked, the settings of its jobs, its reductions, its cost, its variations."""
