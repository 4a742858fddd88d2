"""Recalibration of posteriors, conformal regions and out-of-distribution detection."""
