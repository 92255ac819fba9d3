"""Pallas kernels for NVIDIA GPUs, in place of many launches of XLA."""
