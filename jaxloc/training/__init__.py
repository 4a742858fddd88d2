"""Training a weight posterior in stages, with checkpoints in a run folder."""
