"""Heads: raw output of a network to probability distributions of labels, one a file."""
