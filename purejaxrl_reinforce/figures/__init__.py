"""Style of all pictures, learning curves, figures of sweeps.

Draws arrays: it knows neither jax nor the directories of runs and sweeps.
"""
