"""Scores of posteriors against labels, and the score card."""
