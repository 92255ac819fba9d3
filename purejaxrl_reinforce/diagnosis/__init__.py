"""Whether this machine computes correctly: the package's programs against NumPy in float64.

Imports rooms before it, and nothing but the command line imports it.
"""
