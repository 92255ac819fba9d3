"""Gymnax environments as batched functions, their parameters, and environments of your own."""
