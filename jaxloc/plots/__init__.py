"""Figures of located events, scores, studies and forecasts."""
