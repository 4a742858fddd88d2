"""Earthquake forecasting from catalogues: a separate task with separate scores.

`maps` and `indicators` are the inputs of networks, `rate_map` the reference model, `scores` the evaluation.
"""
