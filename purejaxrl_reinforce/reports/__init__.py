"""Descriptions of configurations; plots and HTML pages of runs, sweeps and benchmarks.

May import every room up to `sweeps`.
"""
