"""Files, text, progress and pages: output that knows neither jax nor learning."""
