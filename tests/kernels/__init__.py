import jax
import pytest

LOWERS_WITHOUT_A_GPU = pytest.mark.skipif(
    jax.__version_info__ >= (0, 11), reason="since jax 0.11 Pallas looks for the GPU to lower for"
)
