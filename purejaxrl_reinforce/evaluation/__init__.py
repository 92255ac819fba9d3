"""What a trained policy does: its returns, their statistics, its videos.

May import `config`, `algorithm`, `output`, `execution`, `runs` and `bench`.
"""
