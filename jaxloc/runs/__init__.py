"""Experiment runs: configuration, data, training, prediction, reports, calibration, scoring of other locators."""
