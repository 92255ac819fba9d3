"""What a compiled program launches: its plan, and how often each step of the plan runs.

A *launch* is a kernel or a copy. The host launches several at once where they are in one CUDA
*graph*. In a *host synchronization* the host waits for a predicate: before each round of a loop of
unknown length and at a conditional, unless a graph holds them.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from purejaxrl_reinforce.bench.hlo import Instruction, Program

_KINDS = {
    "CommandBuffer": "graph",
    "While": "while",
    "Conditional": "conditional",
    "Copy": "copy",
    "copy": "copy",
    "while": "while",
    "conditional": "conditional",
    # Copies a slice to or from where the host says; the copy itself is inside.
    "DynamicSliceFusion": "sequence",
    "Sequential": "sequence",
    "call": "sequence",
}

_ROLES = {"to_apply": "body"}

# Instructions that run nothing themselves.
_NOTHING = (
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id",
    "replica-id", "copy-done", "async-done", "all-reduce-done",
)  # fmt: skip


class Step(NamedTuple):
    """A step of a plan.

    Attributes:
        kind: kernel, copy, graph, sequence, while or conditional.
        name: of the instruction in the optimized program; "" where there is none.
        parts: the steps inside it, by role: body, condition, or a branch's name.
    """

    kind: str
    name: str
    parts: dict[str, list["Step"]]


class Counts(NamedTuple):
    """Launches, those of them that copy, graphs, host synchronizations, and bytes moved."""

    launches: int = 0
    copies: int = 0
    graphs: int = 0
    synchronizations: int = 0
    bytes: int = 0


def gpu_plan(thunks: str, metadata: str) -> list[Step]:
    """Return the plan for a GPU from XLA's dump: its thunks, indented, and their names."""
    names = _names(metadata)
    root = Step("sequence", "", {})
    # Steps that are open, with their indentation and the role of what comes next in them.
    above: list[list[Any]] = [[-1, root, "body"]]
    role = None
    for line in thunks.splitlines():
        found = re.match(r"^(\s*)(\d+): k(\w+)", line)
        if found is None:
            title = re.search(r"(\w+):\s*$", line)
            role = title.group(1) if title else role
            continue
        indent, number, kind = len(found.group(1)), int(found.group(2)), found.group(3)
        while above[-1][0] >= indent:
            above.pop()
        above[-1][2], role = role or above[-1][2], None
        step = Step(_KINDS.get(kind, "kernel"), names.get(number, ""), {})
        above[-1][1].parts.setdefault(above[-1][2], []).append(step)
        above.append([indent, step, "body"])
    return root.parts["body"]


def plan_of(program: Program, computation: str) -> list[Step]:
    """Return the plan of a device that runs the optimized program as it is written."""
    steps = []
    for instruction in program.computations[computation].instructions.values():
        kind = _KINDS.get(instruction.operation, "kernel")
        inside = {}
        if kind in ("while", "conditional", "sequence"):
            called = instruction.called.items()
            inside = {_ROLES.get(role, role): plan_of(program, name) for role, name in called}
        if instruction.operation not in _NOTHING:
            steps.append(Step(kind, instruction.name, inside))
    return steps


def count(
    plan: list[Step],
    program: Program,
    phase_of: Callable[[Instruction], str | None],
    trips: Callable[[Instruction], int],
    on_device: bool = False,
) -> dict[str, Counts]:
    """Return the counts of each phase.

    Args:
        plan: of the program.
        program: the optimized program that the plan's names refer to.
        phase_of: the phase of an instruction; None: that of the loop around it.
        trips: how often a loop runs whose length the compiler does not know.
        on_device: whether the device runs all of the plan by itself.
    """
    tally = _Tally(program, phase_of, trips)
    tally.visit(plan, "rest", 1, on_device)
    return dict(tally.totals)


class _Tally:
    """Counts of each phase, added up while the steps of a plan are visited."""

    def __init__(
        self,
        program: Program,
        phase_of: Callable[[Instruction], str | None],
        trips: Callable[[Instruction], int],
    ) -> None:
        self.totals: dict[str, Counts] = defaultdict(Counts)
        self._program, self._phase_of, self._trips = program, phase_of, trips

    def visit(self, steps: list[Step], outer: str, times: int, in_graph: bool) -> None:
        """Add steps that run `times` times within the phase `outer`."""
        for step in steps:
            instruction = self._program.instructions.get(step.name)
            phase = (instruction and self._phase_of(instruction)) or outer
            match step.kind:
                case "while":
                    assert instruction is not None
                    self._visit_loop(step, instruction, phase, times, in_graph)
                case "conditional":
                    self._add(phase, times, synchronizations=0 if in_graph else 1)
                    longest = max(step.parts.values(), key=len, default=[])
                    self.visit(longest, phase, times, in_graph)
                case "graph":
                    self._add(phase, times, graphs=0 if in_graph else 1)
                    self.visit(step.parts.get("body", []), phase, times, True)
                case "sequence":
                    self.visit(step.parts.get("body", []), phase, times, in_graph)
                case _:
                    moved = self._program.bytes_moved(instruction) if instruction else 0
                    copies = int(step.kind == "copy")
                    self._add(phase, times, launches=1, copies=copies, bytes=moved)

    def _visit_loop(
        self, step: Step, instruction: Instruction, phase: str, times: int, in_graph: bool
    ) -> None:
        known = instruction.trip_count
        rounds = self._trips(instruction) if known is None else known
        waits = rounds + 1 if known is None and not in_graph else 0
        self._add(phase, times, synchronizations=waits)
        # The host knows how often a loop of known length runs.
        looks = rounds + 1 if known is None or in_graph else 0
        self.visit(step.parts.get("condition", []), phase, times * looks, in_graph)
        self.visit(step.parts.get("body", []), phase, times * rounds, in_graph)

    def _add(self, phase: str, times: int, **counts: int) -> None:
        old = self.totals[phase]._asdict()
        self.totals[phase] = Counts(**old | {k: old[k] + times * n for k, n in counts.items()})


def _names(metadata: str) -> dict[int, str]:
    names = {}
    for block in metadata.split("thunk_metadata {")[1:]:
        number = re.search(r"thunk_id: (\d+)", block)
        name = re.search(r'profile_annotation: "([^"]*)"', block)
        if number and name:
            names[int(number.group(1))] = name.group(1)
    return names
