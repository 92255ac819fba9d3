"""Messages between processes come back as they were sent, and cannot hold code."""

import math
import pickle

import numpy as np
import pytest

from purejaxrl_reinforce.execution.messages import pack, unpack


def test_values_and_arrays_come_back():
    arrays = {"a": np.arange(6, dtype=np.int8).reshape(2, 3), "b": np.float32(0.1)}
    value = {"x": [1, 0.1, math.inf, None, True, "é"], "arrays": arrays, "empty": np.zeros((0, 2))}
    back = unpack(pack(value))
    assert back["x"] == value["x"]
    for name, array in (*arrays.items(), ("empty", value["empty"])):
        received = back["empty"] if name == "empty" else back["arrays"][name]
        assert (received.dtype, received.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(received, array)
    assert math.isnan(unpack(pack(math.nan)))


@pytest.mark.parametrize("value", [{1}, print, np.array([print])], ids=str)
def test_other_objects_are_not_sent(value):
    with pytest.raises(TypeError, match="neither JSON nor a plain array"):
        pack([value])


@pytest.mark.parametrize("message", [pickle.dumps([1]), b"", pack([1])[:-9]])
def test_what_is_no_message_is_refused(message):
    with pytest.raises(Exception, match=r"pickle|No data|zip"):
        unpack(message)
