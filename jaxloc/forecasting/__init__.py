"""Forecasts: what a catalogue so far says of events to come. A task of its own, with scores of its own.

`maps` and `indicators` are what networks read, `rate_map` what a forecast has to beat, `scores` how it is judged.
"""
