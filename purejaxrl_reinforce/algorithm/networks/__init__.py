"""The policy and the baseline network, built-in or your own, and action distributions."""
