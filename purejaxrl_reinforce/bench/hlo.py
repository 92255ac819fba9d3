"""XLA's optimized programs as text: instructions, the bytes each moves, where each comes from.

XLA counts the body of a loop once and leaves out what a program compiled for another machine does;
its text has both. Caches are not considered: an instruction reads its operands from memory, of an
operand that it slices only the slices, and writes its result.
"""

import math
import re
from typing import Any, NamedTuple

_INSTRUCTION = re.compile(r"^\s+(ROOT )?%([\w.\-]+) = (.*)$")
_CALLED = re.compile(
    r"(condition|body|calls|to_apply|true_computation|false_computation)=%([\w.\-]+)"
)
_SHAPE = re.compile(r"\b(pred|[a-z]+\d+\w*)\[([\d,]*)\]")

# Of an operand that only these use, they read no more than they return.
_SLICING = ("dynamic-slice", "slice", "gather")


class Instruction(NamedTuple):
    """One instruction: its result's type, operation, operands by name, and all that follows."""

    name: str
    type: str
    operation: str
    operands: tuple[str, ...]
    rest: str

    @property
    def result_bytes(self) -> int:
        """The size of the result."""
        return sum(
            _item_bytes(kind) * math.prod(int(n) for n in sizes.split(",") if n)
            for kind, sizes in _SHAPE.findall(self.type)
        )

    @property
    def called(self) -> dict[str, str]:
        """The computations that it calls, by their role."""
        branches = re.search(r"branch_computations=\{([^}]*)\}", self.rest)
        names = re.findall(r"%([\w.\-]+)", branches.group(1)) if branches else []
        return dict(_CALLED.findall(self.rest)) | {f"branch_{i}": x for i, x in enumerate(names)}

    @property
    def trip_count(self) -> int | None:
        """How often a loop runs, None where only its predicate knows."""
        found = re.search(r'known_trip_count":\{"n":"(\d+)"', self.rest)
        return int(found.group(1)) if found else None


class Computation(NamedTuple):
    """Instructions by name, in their order, and the one whose result is the computation's."""

    instructions: dict[str, Instruction]
    root: str


class Program(NamedTuple):
    """An optimized program.

    Attributes:
        computations: by name.
        entry: the name of the one that runs first.
        instructions: of all computations, by name.
        frames: the functions that were being traced, innermost first, by number of the stack frame.
    """

    computations: dict[str, Computation]
    entry: str
    instructions: dict[str, Instruction]
    frames: dict[int, tuple[str, ...]]

    def functions(self, instruction: Instruction) -> tuple[str, ...]:
        """Return the functions whose tracing made an instruction, innermost first."""
        found = re.search(r"stack_frame_id=(\d+)", instruction.rest)
        return self.frames.get(int(found.group(1)), ()) if found else ()

    def bytes_moved(self, instruction: Instruction) -> int:
        """Return the bytes that one execution of an instruction reads and writes."""
        if instruction.operation == "dynamic-update-slice":
            return 2 * self.instructions[instruction.operands[1]].result_bytes
        if instruction.operation in _SLICING:
            return 2 * instruction.result_bytes
        fused = self.computations.get(instruction.called.get("calls", ""))
        if fused is not None:
            return _fusion_bytes(fused)
        known = (self.instructions[name] for name in instruction.operands)
        return instruction.result_bytes + sum(x.result_bytes for x in known)


def read_program(text: str) -> Program:
    """Return the program that XLA wrote as `text`."""
    computations: dict[str, Computation] = {}
    current: dict[str, Instruction] = {}
    entry = ""
    for line in text.splitlines():
        if line.startswith(("%", "ENTRY %")) and line.endswith("{"):
            name = re.match(r"(?:ENTRY )?%([\w.\-]+)", line).group(1)  # type: ignore[union-attr]
            entry = name if line.startswith("ENTRY") else entry
            current = {}
        elif found := _INSTRUCTION.match(line):
            is_root, name_of_it, rest = found.groups()
            current[name_of_it] = _instruction(name_of_it, rest)
            if is_root:
                computations[name] = Computation(current, name_of_it)
    instructions = {x.name: x for c in computations.values() for x in c.instructions.values()}
    return Program(computations, entry, instructions, _read_frames(text))


def _instruction(name: str, text: str) -> Instruction:
    type_end = _closing(text, 0) + 1 if text.startswith("(") else text.index(" ")
    operation, _, _ = text[type_end:].strip().partition("(")
    start = text.index("(", type_end)
    operands = re.findall(r"%([\w.\-]+)", text[start : _closing(text, start)])
    return Instruction(name, text[:type_end], operation, tuple(operands), text[start:])


def _closing(text: str, start: int) -> int:
    """Return where the parenthesis that opens at `start` closes."""
    depth = 0
    for i in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i
    raise ValueError(f"no closing parenthesis in {text[:80]!r}")


def _item_bytes(kind: str) -> int:
    digits = re.search(r"\d+", kind)
    return 1 if digits is None else int(digits.group()) // 8


def _fusion_bytes(fused: Computation) -> int:
    read = sum(
        _read_bytes(fused, x) for x in fused.instructions.values() if x.operation == "parameter"
    )
    return read + sum(_written_bytes(fused, name) for name in _results(fused, fused.root))


def _results(fused: Computation, name: str) -> tuple[str, ...]:
    instruction = fused.instructions[name]
    return instruction.operands if instruction.operation == "tuple" else (name,)


def _read_bytes(fused: Computation, source: Instruction) -> int:
    """Return the bytes of a fusion's operand, or of a view of it, that the fusion reads."""
    total = 0
    for user in fused.instructions.values():
        if source.name not in user.operands:
            continue
        if user.operation in ("bitcast", "reshape"):
            total += _read_bytes(fused, user)
        elif user.operation in _SLICING:
            total += user.result_bytes
        elif not (user.operation == "dynamic-update-slice" and user.operands[0] == source.name):
            return source.result_bytes
    return min(total, source.result_bytes)


def _written_bytes(fused: Computation, name: str) -> int:
    instruction = fused.instructions[name]
    if instruction.operation in ("bitcast", "reshape"):
        return _written_bytes(fused, instruction.operands[0])
    if instruction.operation == "dynamic-update-slice":
        return fused.instructions[instruction.operands[1]].result_bytes
    return 0 if instruction.operation == "parameter" else instruction.result_bytes


def _read_frames(text: str) -> dict[int, tuple[str, ...]]:
    def section(title: str) -> list[str]:
        found = re.search(rf"^{title}\n(.*?)\n\n", text, re.M | re.S)
        return found.group(1).splitlines() if found else []

    def numbers(line: str) -> dict[str, int]:
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)}

    names = {
        int(n): name.strip('"') for n, name in (x.split(" ", 1) for x in section("FunctionNames"))
    }
    function = [names[numbers(line)["function_name_id"]] for line in section("FileLocations")]
    frames: dict[int, tuple[str, ...]] = {}
    for number, line in enumerate(section("StackFrames"), start=1):
        facts: Any = numbers(line)
        # Parents are numbered from 1 as well, so that 1 stands for none.
        outer = frames.get(facts["parent_frame_id"] - 1, ())
        frames[number] = (function[facts["file_location_id"] - 1], *outer)
    return frames
