"""Measurement of training speed: timing, ratios, peaks, operation counts, result files.

May import `config`, `algorithm`, `output`, `execution` and `runs`.
"""
