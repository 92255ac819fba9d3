"""Which setting is the best: looks at scores, how many seeds that takes, the ranking as text."""
