"""What people read before and after training: descriptions, curves, HTML pages.

May import every room up to `sweeps`.
"""
