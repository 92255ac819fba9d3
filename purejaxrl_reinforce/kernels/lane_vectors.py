"""Functions of one lane, evaluated on many lanes with no arrays but vectors of lanes.

A Pallas kernel for a GPU has neither keys nor indexing, and the sizes of its arrays are powers of
two. So the trace of a function of one lane is evaluated with a vector [L], one element per lane, in
place of each number: an array is a list of vectors in row-major order, moving its elements costs
nothing, and elementwise operations are all that is left. Random numbers are those of `jax.random`.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, Var  # moves now and then; the kernels would go with it

# One number of an array: a NumPy scalar where it is known, else traced, [L] or (); or a Key.
Element = Any

# An array of one lane, in row-major order.
Elements = list[Element]

# A `jax.extend.core.JaxprEqn`, whose variables have no types that say enough.
Equation = Any

Rule = Callable[[Equation, Sequence[Elements]], list[Elements]]

# More places than these that an index could point to are too many for one choice among all.
MOST_PLACES = 4096


class UnsupportedError(Exception):
    """The reason why a function cannot be evaluated on vectors of lanes."""


class Key(NamedTuple):
    """The two words of a threefry key, uint32."""

    first: Element
    second: Element

    def fold_in(self, data: Element) -> "Key":
        """Return threefry-2x32 of (0, data), uint32, in 20 rounds (Salmon et al., 2011)."""
        rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
        words = (*self, self.first ^ self.second ^ np.uint32(0x1BD11BDA))
        x, y = words[0], data + words[1]
        for i in range(5):
            for rotation in rotations[i % 2]:
                x = x + y
                y = x ^ (y << np.uint32(rotation) | y >> np.uint32(32 - rotation))
            x, y = x + words[(i + 1) % 3], y + words[(i + 2) % 3] + np.uint32(i + 1)
        return Key(x, y)


@dataclasses.dataclass(frozen=True)
class LaneFunction:
    """The trace of a function of one lane, the arrays it closes over, and its result as shapes."""

    jaxpr: Jaxpr
    consts: list[Any]
    shapes: Any

    def __call__(self, consts: Sequence[Elements], *args: Any) -> Any:
        """Evaluate it: arguments and result are trees with elements in place of arrays."""
        results = _evaluate(self.jaxpr, consts, leaves(args))
        return jax.tree.unflatten(jax.tree.structure(self.shapes), results)


def trace(function: Callable[..., Any], *args: Any) -> LaneFunction:
    """Trace `function` with arguments, arrays or their shapes, of one lane."""
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    return LaneFunction(closed.jaxpr, closed.consts, shapes)


def leaves(tree: Any) -> list[Elements]:
    """Return the leaves of a tree of elements."""
    return jax.tree.leaves(tree, is_leaf=lambda x: isinstance(x, list))


def _evaluate(jaxpr: Jaxpr, consts: Sequence[Elements], args: Sequence[Elements]) -> list[Elements]:
    values: dict[Any, Elements] = dict(zip(jaxpr.constvars, consts, strict=True))
    values |= zip(jaxpr.invars, args, strict=True)

    def read(x: Any) -> Elements:
        return values[x] if isinstance(x, Var) else known(x.val, x.aval.dtype)

    for eqn in _needed(jaxpr):
        results = _apply(eqn, [read(x) for x in eqn.invars])
        values |= zip(eqn.outvars, results, strict=True)
    return [read(x) for x in jaxpr.outvars]


def _needed(jaxpr: Jaxpr) -> list[Equation]:
    """Return the equations that a result depends on: others need not be supported."""
    needed, eqns = set(jaxpr.outvars) - {None}, []
    for eqn in reversed(jaxpr.eqns):
        if needed.intersection(eqn.outvars):
            eqns.append(eqn)
            needed |= {x for x in eqn.invars if isinstance(x, Var)}
    return eqns[::-1]


def _apply(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    name = eqn.primitive.name
    for param in ("jaxpr", "call_jaxpr", "call"):
        if param in eqn.params and name not in ("scan", "while"):
            return _inlined(eqn.params[param], args)
    if name not in RULES:
        raise UnsupportedError(f"the operation {name!r}")
    return RULES[name](eqn, args)


def _inlined(closed: Any, args: Sequence[Elements]) -> list[Elements]:
    return _evaluate(closed.jaxpr, [known(c, c.dtype) for c in closed.consts], args)


def known(array: Any, dtype: Any = None) -> Elements:
    """Return the elements of an array whose values are known."""
    return list(np.asarray(array, dtype).ravel())


def _is_known(element: Element) -> bool:
    return isinstance(element, np.generic)


def _compute(function: Callable[..., Any], *args: Element) -> Element:
    """Apply an elementwise operation to elements of which some may be the same for all lanes."""
    if all(map(_is_known, args)):
        with jax.ensure_compile_time_eval():
            return np.asarray(function(*args))[()]
    shape = np.broadcast_shapes(*map(np.shape, args))
    return function(*(broadcast(arg, shape) for arg in args))


def broadcast(element: Element, shape: tuple[int, ...]) -> Element:
    """Return an element as an array of this shape."""
    if np.shape(element) == shape:
        return element
    if _is_known(element):
        return lax.full(shape, element, element.dtype)
    return lax.broadcast(element, shape)


def _elementwise(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    own = [_numbered([x.aval])[0] for x in eqn.invars]
    *numbers, _ = np.broadcast_arrays(*own, np.empty(eqn.outvars[0].aval.shape))
    columns = [[arg[i] for i in n.ravel()] for arg, n in zip(args, numbers, strict=True)]
    function = functools.partial(eqn.primitive.bind, **eqn.params)
    return [[_compute(function, *elements) for elements in zip(*columns, strict=True)]]


def _numbered(avals: Iterable[Any]) -> list[np.ndarray]:
    """Return arrays of these shapes whose elements are numbered, from one array to the next."""
    arrays, first = [], 0
    for aval in avals:
        arrays.append(np.arange(first, first + aval.size, dtype=np.int32).reshape(aval.shape))
        first += aval.size
    return arrays


def _moved(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    """Move elements to where the operation moves their numbers."""
    with jax.ensure_compile_time_eval():
        numbers = eqn.primitive.bind(*_numbered(x.aval for x in eqn.invars), **eqn.params)
    elements = [element for arg in args for element in arg]
    results = numbers if eqn.primitive.multiple_results else [numbers]
    return [[elements[i] for i in np.asarray(result).ravel()] for result in results]


def _iota(eqn: Equation, _args: Sequence[Elements]) -> list[Elements]:
    with jax.ensure_compile_time_eval():
        return [known(eqn.primitive.bind(**eqn.params))]


def _reduced(combine: Callable[..., Any]) -> Rule:
    def rule(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
        (numbers,), axes = _numbered([eqn.invars[0].aval]), eqn.params["axes"]
        rows = np.moveaxis(numbers, axes, range(len(axes))).reshape(-1, eqn.outvars[0].aval.size)
        add = functools.partial(_compute, combine)
        return [[functools.reduce(add, [args[0][i] for i in column]) for column in rows.T]]

    return rule


def _cond(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    """Choose between two branches lane by lane; without a lane that takes it, skip the second."""
    (index,), operands = args[0], args[1:]
    branches = [functools.partial(_inlined, x, operands) for x in eqn.params["branches"]]
    if len(branches) != 2:
        raise UnsupportedError("a choice of more than two branches")

    def chosen() -> list[Elements]:
        results = branches[1](), branches[0]()
        return jax.tree.map(lambda *x: broadcast(_select(index > 0, *x), index.shape), *results)

    def first() -> list[Elements]:
        return jax.tree.map(lambda x: broadcast(x, index.shape), branches[0]())

    results: list[Elements] = lax.cond(jnp.max(index.astype(jnp.int32)) > 0, chosen, first)
    return results


def _select(condition: Element, if_true: Element, if_false: Element) -> Element:
    if if_true is if_false:
        return if_true
    return _compute(lax.select, condition, if_true, if_false)


def _is_at(element: Element, place: int, size: int) -> Element:
    """Whether an element of an index points to `place`; -1 and `size`: anywhere out of bounds."""
    compare = lax.lt if place < 0 else lax.ge if place >= size else lax.eq
    return compare(element, lax.full_like(element, max(place, 0)))


def _choose_place(
    index: Elements, sizes: Sequence[int], elements: Elements, numbers_at: Callable[[Any], Any]
) -> list[Elements]:
    """Return the elements whose numbers are `numbers_at` the place that the index points to.

    `sizes` are of the dimensions that the elements of the index point into, in turn.
    """
    pairs = zip(index, itertools.cycle(sizes))
    ranges = [[int(x)] if _is_known(x) else range(-1, size + 1) for x, size in pairs]
    places = list(itertools.product(*ranges))
    if len(places) > MOST_PLACES:
        raise UnsupportedError(f"an index into {len(places)} places")
    with jax.ensure_compile_time_eval():
        numbers = np.stack([np.asarray(numbers_at(place)).ravel() for place in places])

    @functools.cache
    def hit(place: tuple[int, ...]) -> Element:
        tests = zip(index, place, itertools.cycle(sizes))
        hits = [_is_at(*test) for test in tests if not _is_known(test[0])]
        return functools.reduce(functools.partial(_compute, lax.bitwise_and), hits)

    results = []
    for column in numbers.T:
        usual = np.bincount(column).argmax()
        result = elements[usual]
        for place in np.flatnonzero(column != usual):
            result = _select(hit(places[place]), elements[column[place]], result)
        results.append(result)
    return [results]


def _gather(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    operand, indices = (x.aval for x in eqn.invars)
    sizes = [operand.shape[dim] for dim in eqn.params["dimension_numbers"].start_index_map]
    (numbers,) = _numbered([operand])

    def read(array: np.ndarray, place: Any, **changes: Any) -> Any:
        at = np.reshape(place, indices.shape).astype(indices.dtype)
        return eqn.primitive.bind(array, at, **eqn.params | changes)

    with jax.ensure_compile_time_eval():
        nowhere = np.full(indices.shape, np.iinfo(indices.dtype).max)
        fill = read(np.zeros(operand.shape, operand.dtype), nowhere)
    elements = [*args[0], known(fill, operand.dtype)[0]]
    numbers_at = functools.partial(read, numbers, fill_value=operand.size)
    return _choose_place(args[1], sizes, elements, numbers_at)


def _scatter(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    operand, indices, updates = (x.aval for x in eqn.invars)
    dimensions, mode = eqn.params["dimension_numbers"], eqn.params["mode"]
    sizes = [operand.shape[dim] for dim in dimensions.scatter_dims_to_operand_dims]
    old, new = _numbered([operand, updates])

    def numbers_at(place: Any) -> Any:
        at = np.reshape(place, indices.shape).astype(indices.dtype)
        return lax.scatter(old, at, new, dimensions, mode=mode)

    return _choose_place(args[1], sizes, [*args[0], *args[2]], numbers_at)


def _dynamic_slice(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    operand = eqn.invars[0].aval
    (numbers,) = _numbered([operand])

    def numbers_at(place: Any) -> Any:
        return lax.dynamic_slice(numbers, place, eqn.params["slice_sizes"])

    return _choose_place([x for (x,) in args[1:]], operand.shape, args[0], numbers_at)


def _fold_in(_eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    keys, data = args
    pairs = zip(keys, data * (len(keys) // len(data)), strict=True)
    return [[key.fold_in(x) for key, x in pairs]]


def _random_split(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    counts = range(math.prod(eqn.params["shape"]))
    return [[key.fold_in(np.uint32(i)) for key in args[0] for i in counts]]


def _random_bits(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    if eqn.params["bit_width"] != 32:
        raise UnsupportedError("random bits other than 32")
    return [[key.first ^ key.second for key in _random_split(eqn, args)[0]]]


_ELEMENTWISE = """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bitcast_convert_type cbrt ceil clamp
    convert_element_type cos cosh div eq erf_inv exp exp2 expm1 floor ge gt integer_pow is_finite le
    log log1p logistic lt max min mul ne neg nextafter not or pow rem round rsqrt select_n
    shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square sub tan tanh xor
"""
_MOVING = """
    broadcast_in_dim concatenate copy copy_p pad reshape rev slice split squeeze stack stop_gradient
    transpose unstack
"""

RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE.split(), _elementwise),
    **dict.fromkeys(_MOVING.split(), _moved),
    "iota": _iota,
    "reduce_sum": _reduced(lax.add),
    "reduce_prod": _reduced(lax.mul),
    "reduce_max": _reduced(lax.max),
    "reduce_min": _reduced(lax.min),
    "reduce_and": _reduced(lax.bitwise_and),
    "reduce_or": _reduced(lax.bitwise_or),
    "cond": _cond,
    "gather": _gather,
    "scatter": _scatter,
    "dynamic_slice": _dynamic_slice,
    "random_fold_in": _fold_in,
    "random_split": _random_split,
    "random_bits": _random_bits,
    "random_wrap": lambda _, args: [list(map(Key, args[0][::2], args[0][1::2]))],
    "random_unwrap": lambda _, args: [[word for key in args[0] for word in key]],
}
