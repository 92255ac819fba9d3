"""Descriptions of configurations; plots and HTML pages of runs, sweeps and benchmarks."""
