"""Style of all pictures, learning curves, figures of sweeps: arrays, without jax or directories."""
