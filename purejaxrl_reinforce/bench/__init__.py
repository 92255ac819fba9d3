"""How fast training is: timing, ratios, peaks, counted work, result files.

May import `config`, `algorithm`, `output`, `execution` and `runs`.
"""
