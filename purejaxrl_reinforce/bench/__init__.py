"""Measurement of training speed: timing, ratios, result files."""
