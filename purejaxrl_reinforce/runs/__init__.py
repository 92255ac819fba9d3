"""One training run: its directory, its checkpoints, its host loop."""
