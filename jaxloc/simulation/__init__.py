"""Simulated networks of stations, earthquakes, their seismograms and picks."""
