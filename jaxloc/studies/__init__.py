"""Studies: many runs, judged alike, in one table."""
