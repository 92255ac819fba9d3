"""Rollout, targets and gradients in one launch each: Pallas kernels for NVIDIA GPUs.

Nothing imports this room but `algorithm.reinforce.make_engine`, where `config.engine` asks for it.
"""
