import jax

# XLA of jax 0.11 fuses the interpreter's loops on a CPU for many minutes. Both programs of a
# comparison are compiled in the same way, since fusions decide about roundings.
QUICK_TO_INTERPRET = (
    {"xla_disable_hlo_passes": "fusion"} if jax.__version_info__ >= (0, 11) else None
)
