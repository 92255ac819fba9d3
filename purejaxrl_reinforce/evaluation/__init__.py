"""What a trained policy does: its returns, here and in Gymnasium, and its videos."""
