"""Distributions over hypocentres and other labels, their credible regions and ellipsoids."""
