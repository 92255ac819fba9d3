"""Keys that callers hand in: wrong ones are refused in one sentence, right ones are not shared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import evaluate, init, step, train
from purejaxrl_reinforce.algorithm.lanes import evaluation_key
from purejaxrl_reinforce.algorithm.reinforce import state_shapes
from tests.support.runs import TINY

WRONG = [
    (lambda: jax.random.PRNGKey(0), r"jax.random.key\(0\), not of type uint32\[2\]"),
    (lambda: 0, r"key must be one typed key, as of jax.random.key\(0\), not of type int32\[\]"),
    (lambda: jax.random.split(jax.random.key(0), 3), r"key must be one typed key, .*\[3\]"),
    (lambda: jax.random.key(0, impl="rbg"), "key must be of the kind threefry2x32, .* not rbg"),
    (lambda: jax.random.key(0, impl="unsafe_rbg"), "threefry2x32, .* not unsafe_rbg"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
@pytest.mark.parametrize("use", ["init", "train", "evaluate"])
def test_wrong_keys(make, message, use):
    params = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), state_shapes(TINY).params)
    uses = {
        "init": lambda key: init(TINY, key),
        "train": lambda key: train(TINY, key),
        "evaluate": lambda key: evaluate(TINY, params, key, 2),
    }
    with pytest.raises(ValueError, match=message) as error:
        uses[use](make())
    assert "\n" not in str(error.value)


def test_float64_is_refused():
    state = init(TINY, jax.random.key(0))
    for use in (lambda: init(TINY, jax.random.key(0)), lambda: step(TINY, state)):
        with jax.enable_x64(True), pytest.raises(ValueError, match="unset jax_enable_x64"):
            use()


def test_evaluation_uses_no_key_of_training():
    """Training folds in the numbers from 0: those of `split`, of updates and of lanes."""
    key = jax.random.key(0)
    numbers = jnp.arange(100_000, dtype=jnp.uint32)
    data = jax.vmap(lambda i: jax.random.key_data(jax.random.fold_in(key, i)))(numbers)
    own = np.asarray(jax.random.key_data(evaluation_key(key)))
    assert not (np.asarray(data) == own).all(axis=1).any()
