"""Data sets in memory: events with their observations and labels, preprocessing, augmentation and views."""
