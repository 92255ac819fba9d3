"""Descriptions, learning curves and HTML pages of configurations, runs, sweeps and benchmarks.

May import every room up to `sweeps`.
"""
