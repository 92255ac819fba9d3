"""The command line. Heavy imports belong into a verb's `run`: --help then answers at once."""
