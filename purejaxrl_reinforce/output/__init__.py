"""Files, text, plots, pages and videos: output that knows neither jax nor learning.

May import `config` and what people read with: matplotlib, pillow, rich.
"""
