"""One training run: its directory, its checkpoints, its host loop.

May import `config`, `algorithm`, `output` and `execution`.
"""
