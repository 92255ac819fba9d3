"""The command line: options and verbs, nothing else.

May import every room. Heavy imports (jax, gymnax, matplotlib) belong inside a verb's `run`, so
that `--help` and a mistyped option answer at once.
"""
