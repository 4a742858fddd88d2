"""Studies: many runs, evaluated alike, in one table."""
