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
    for param in ("jaxpr", "call_jaxpr", "call"):  # a call of another function is inlined
        if param in eqn.params and name not in ("scan", "while"):
            closed = eqn.params[param]
            return _evaluate(closed.jaxpr, [known(c, c.dtype) for c in closed.consts], args)
    if name in ELEMENTWISE:
        return [_elementwise(eqn, args)]
    if name not in RULES:
        raise UnsupportedError(f"the operation {name!r}")
    return RULES[name](eqn, args)


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


def _elementwise(eqn: Equation, args: Sequence[Elements]) -> Elements:
    own = [_numbered([x.aval])[0] for x in eqn.invars]
    *numbers, _ = np.broadcast_arrays(*own, np.empty(eqn.outvars[0].aval.shape))
    columns = [[arg[i] for i in n.ravel()] for arg, n in zip(args, numbers, strict=True)]

    def function(*elements: Element) -> Any:
        return eqn.primitive.bind(*elements, **eqn.params)

    return [_compute(function, *elements) for elements in zip(*columns, strict=True)]


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


def _rows(eqn: Equation, axes: tuple[int, ...]) -> np.ndarray:
    """Return the operand's elements as numbers, a row for each place along these axes."""
    numbers = np.moveaxis(_numbered([eqn.invars[0].aval])[0], axes, range(len(axes)))
    return numbers.reshape(math.prod(numbers.shape[: len(axes)]), -1)


def _reduced(combine: Callable[..., Any]) -> Rule:
    def rule(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
        rows = _rows(eqn, eqn.params["axes"])
        total = [args[0][i] for i in rows[0]]
        for row in rows[1:]:
            total = [_compute(combine, x, args[0][i]) for x, i in zip(total, row, strict=True)]
        return [total]

    return rule


def _cumulative(combine: Callable[..., Any]) -> Rule:
    def rule(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
        rows, results = _rows(eqn, (eqn.params["axis"],)), list(args[0])
        for before, row in itertools.pairwise(rows[::-1] if eqn.params["reverse"] else rows):
            for i, j in zip(before, row, strict=True):
                results[j] = _compute(combine, results[i], results[j])
        return [results]

    return rule


def _cond(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    """Choose between two branches lane by lane; without a lane that takes it, skip the second."""
    (index,), operands = args[0], args[1:]
    branches = [
        (branch.jaxpr, [known(c, c.dtype) for c in branch.consts])
        for branch in eqn.params["branches"]
    ]
    if _is_known(index):
        return _evaluate(*branches[int(index)], operands)
    if len(branches) != 2:
        raise UnsupportedError("a choice of more than two branches")

    def flat(branch: tuple[Jaxpr, list[Elements]]) -> Elements:
        return [element for result in _evaluate(*branch, operands) for element in result]

    def chosen() -> Elements:
        pairs = zip(flat(branches[1]), flat(branches[0]), strict=True)
        return [broadcast(_select(index > 0, *pair), index.shape) for pair in pairs]

    def first() -> Elements:
        return [broadcast(element, index.shape) for element in flat(branches[0])]

    elements = iter(lax.cond(jnp.max(index.astype(jnp.int32)) > 0, chosen, first))
    return [[next(elements) for _ in range(x.aval.size)] for x in eqn.outvars]


def _select(condition: Element, if_true: Element, if_false: Element) -> Element:
    if if_true is if_false:
        return if_true
    if isinstance(if_true, Key):
        return Key(*(_select(condition, *words) for words in zip(if_true, if_false, strict=True)))
    return _compute(lax.select, condition, if_true, if_false)


class _Index(NamedTuple):
    """An element of an index, and the size of the dimension that it points into."""

    element: Element
    size: int

    def places(self) -> Iterable[int]:
        return [int(self.element)] if _is_known(self.element) else range(-1, self.size + 1)

    def is_at(self, place: int) -> Element:
        """Whether it points to `place`; -1 and `size` stand for all that is out of bounds."""
        compare = lax.lt if place < 0 else lax.ge if place >= self.size else lax.eq
        bound = np.asarray(max(place, 0), self.element.dtype)[()]
        return _compute(compare, self.element, bound)


def _choose_place(
    index: list[_Index], elements: Elements, numbers_at: Callable[[list[int]], Any]
) -> Elements:
    """Return the elements whose numbers are `numbers_at` the place that the index points to."""
    places = list(itertools.product(*(i.places() for i in index)))
    if len(places) > MOST_PLACES:
        raise UnsupportedError(f"an index into {len(places)} places")
    with jax.ensure_compile_time_eval():
        numbers = np.stack([np.asarray(numbers_at(list(place))).ravel() for place in places])
    hits: dict[int, Element] = {}

    def hit(place: int) -> Element:
        if place not in hits:
            pairs = zip(index, places[place], strict=True)
            tests = [i.is_at(x) for i, x in pairs if not _is_known(i.element)]
            hits[place] = functools.reduce(functools.partial(_compute, lax.bitwise_and), tests)
        return hits[place]

    results = []
    for column in numbers.T:
        usual = np.bincount(column).argmax()
        result = elements[usual]
        for place in np.flatnonzero(column != usual):
            result = _select(hit(int(place)), elements[column[place]], result)
        results.append(result)
    return results


def _gather(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    operand, indices = (x.aval for x in eqn.invars)
    sizes = [operand.shape[dim] for dim in eqn.params["dimension_numbers"].start_index_map]
    index = [_Index(x, sizes[i % len(sizes)]) for i, x in enumerate(args[1])]
    (numbers,) = _numbered([operand])
    params = eqn.params | {"fill_value": operand.size}
    with jax.ensure_compile_time_eval():
        fill = eqn.primitive.bind(  # what is read out of bounds
            np.zeros(operand.shape, operand.dtype),
            np.full(indices.shape, np.iinfo(indices.dtype).max, indices.dtype),
            **eqn.params,
        )

    def numbers_at(place: list[int]) -> Any:
        at = np.asarray(place, indices.dtype).reshape(indices.shape)
        return eqn.primitive.bind(numbers, at, **params)

    elements = [*args[0], known(fill, operand.dtype)[0]]
    return [_choose_place(index, elements, numbers_at)]


def _scatter(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    operand, indices, updates = (x.aval for x in eqn.invars)
    dimensions = eqn.params["dimension_numbers"]
    sizes = [operand.shape[dim] for dim in dimensions.scatter_dims_to_operand_dims]
    index = [_Index(x, sizes[i % len(sizes)]) for i, x in enumerate(args[1])]
    old, new = _numbered([operand, updates])

    def numbers_at(place: list[int]) -> Any:
        at = np.asarray(place, indices.dtype).reshape(indices.shape)
        return lax.scatter(old, at, new, dimensions, mode=eqn.params["mode"])

    return [_choose_place(index, [*args[0], *args[2]], numbers_at)]


def _dynamic_slice(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    operand = eqn.invars[0].aval
    index = [_Index(x, size) for (x,), size in zip(args[1:], operand.shape, strict=True)]
    (numbers,) = _numbered([operand])

    def numbers_at(place: list[int]) -> Any:
        return lax.dynamic_slice(numbers, place, eqn.params["slice_sizes"])

    return [_choose_place(index, args[0], numbers_at)]


def _threefry(key: Key, data: Element) -> Key:
    """Return threefry-2x32 of (0, data), 20 rounds (Salmon et al., 2011): `fold_in` of uint32."""
    rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
    words = (*key, key.first ^ key.second ^ np.uint32(0x1BD11BDA))
    x, y = words[0], data + words[1]
    for i in range(5):
        for rotation in rotations[i % 2]:
            x = x + y
            y = x ^ (y << np.uint32(rotation) | y >> np.uint32(32 - rotation))
        x, y = x + words[(i + 1) % 3], y + words[(i + 2) % 3] + np.uint32(i + 1)
    return Key(x, y)


def _fold_in(_eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    keys, data = args
    return [
        [_threefry(key, x) for key, x in zip(keys, data * (len(keys) // len(data)), strict=True)]
    ]


def _random_split(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    counts = range(math.prod(eqn.params["shape"]))
    return [[_threefry(key, np.uint32(i)) for key in args[0] for i in counts]]


def _random_bits(eqn: Equation, args: Sequence[Elements]) -> list[Elements]:
    if eqn.params["bit_width"] != 32:
        raise UnsupportedError("random bits other than 32")
    return [[key.first ^ key.second for key in _random_split(eqn, args)[0]]]


_ELEMENTWISE_NAMES = """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bitcast_convert_type cbrt ceil clamp
    convert_element_type cos cosh div eq erf_inv exp exp2 expm1 floor ge gt integer_pow is_finite le
    log log1p logistic lt max min mul ne neg nextafter not or pow rem round rsqrt select_n
    shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square sub tan tanh xor
"""
ELEMENTWISE = frozenset(_ELEMENTWISE_NAMES.split())

_SAME = ("copy", "copy_p", "stop_gradient", "random_clone", "reshard")
_MOVING = (
    "broadcast_in_dim", "concatenate", "expand_dims", "pad", "reshape", "rev", "slice", "split",
    "squeeze", "stack", "transpose", "unstack",
)  # fmt: skip

RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME, lambda _, args: list(args)),
    **dict.fromkeys(_MOVING, _moved),
    "iota": _iota,
    "reduce_sum": _reduced(lax.add),
    "reduce_prod": _reduced(lax.mul),
    "reduce_max": _reduced(lax.max),
    "reduce_min": _reduced(lax.min),
    "reduce_and": _reduced(lax.bitwise_and),
    "reduce_or": _reduced(lax.bitwise_or),
    "cumsum": _cumulative(lax.add),
    "cumprod": _cumulative(lax.mul),
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
