"""The idiomatic JAX program, and the comparison with it."""
