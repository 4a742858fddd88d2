"""Everything that reads, makes or writes data; the only place that knows file formats."""
