"""Measurement of training speed: timing, ratios, peaks, operation counts, result files."""
