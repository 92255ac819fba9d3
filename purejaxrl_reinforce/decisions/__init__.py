"""Which setting is the best, from scores alone: looks at a study, and how many seeds it needs."""
