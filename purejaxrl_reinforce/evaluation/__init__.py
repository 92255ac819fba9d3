"""What a trained policy does: its returns, here and in Gymnasium, and its videos.

May import every room up to `runs`.
"""
