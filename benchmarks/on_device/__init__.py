"""The stages of accelerator.py. They need jax, flax, optax, chex, gymnax and NumPy, no more."""
