"""Style of all pictures, learning curves, figures of sweeps.

May import `config`, `tasks`, `output` and `statistics`. Draws arrays: it knows neither jax nor the
directories of runs and sweeps.
"""
