"""Every picture: learning curves, figures of sweeps and benchmarks.

May import `config`, `tasks`, `output` and `statistics`. Draws arrays: it knows neither jax nor the
directories of runs and sweeps.
"""
