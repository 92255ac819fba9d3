"""Messages between processes: JSON and plain arrays, of which nothing is ever executed."""

import io
import json
from typing import Any

import numpy as np

_JSON, _ARRAY = "json", "array"


def pack(value: Any) -> bytes:
    """Return JSON values and NumPy arrays, in lists, tuples and dictionaries, as one message.

    Raises:
        TypeError: there is something else among them.
    """
    arrays: dict[str, np.ndarray] = {}

    def reference(x: Any) -> dict[str, str]:
        if not isinstance(x, np.ndarray | np.generic) or x.dtype.hasobject:
            raise TypeError(f"{type(x).__name__} is neither JSON nor a plain array")
        name = f"{_ARRAY}{len(arrays)}"
        arrays[name] = np.asarray(x)
        return {_ARRAY: name}

    text = json.dumps(value, default=reference)
    buffer = io.BytesIO()
    np.savez(buffer, **{_JSON: np.frombuffer(text.encode(), np.uint8)}, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack(message: bytes) -> Any:
    """Return what `pack` was given, with tuples as lists."""
    with np.load(io.BytesIO(message), allow_pickle=False) as file:

        def resolved(x: dict[str, Any]) -> Any:
            return file[x[_ARRAY]] if list(x) == [_ARRAY] else x

        return json.loads(file[_JSON].tobytes(), object_hook=resolved)
