"""An update computes what float64 NumPy does, for every tuning, at any number of rows."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purejaxrl_reinforce.diagnosis import checks

# Time steps and lanes, odd numbers of rows among them.
SIZES = [(3, 10_923), (101, 9_901), (100, 40_000), (3, 1_333_333)]
# The block sizes of each kind of device, compiled for this one, and blocks beyond 2**15 rows.
TUNINGS = {
    "cpu": {},
    "gpu": {"platform": "gpu"},
    "tpu": {"platform": "tpu"},
    "33,001 rows at once": {"block_rows": 33_001},
    "all rows at once": {"block_rows": 2**23},
}


def assert_right(config, size):
    wrong = [x for x in checks.update_findings(config, *size) if not x.is_right]
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{math.prod(size):,} rows")
def test_large_batches(tuning, size):
    assert_right(checks.CONFIG.replace(**TUNINGS[tuning]), size)


@settings(max_examples=4, deadline=None)
@given(
    size=st.tuples(st.integers(2, 60), st.integers(2, 700)),
    block_rows=st.integers(1, 5_000),
    activation=st.sampled_from(["relu", "tanh"]),
    gamma=st.floats(0.5, 1.0),
)
def test_batches_of_any_shape(size, block_rows, activation, gamma):
    config = checks.CONFIG.replace(activation=activation, gamma=gamma, block_rows=block_rows)
    assert_right(config, size)
