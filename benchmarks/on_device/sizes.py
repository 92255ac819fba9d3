"""How much of everything is measured."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Size(NamedTuple):
    """Sizes of a run of accelerator.py.

    Attributes:
        lanes: in the order in which they are measured, the most telling first.
        wide: lanes of cases that are measured for one width only.
        few: lanes of cases in which launches are what costs.
        num_steps: T.
        short: steps per update with which the idiomatic program is tried beside T.
        slots: about how many steps a timed call takes.
        training: updates of the policy with which updates are timed.
        repeats: of each timing.
        precisions: of matrix products.
        values: of fields of a `Tuning`, to try one at a time.
        tilings: of the kernels, to try: lanes and warps of a program.
        seeds: of learning curves and times to solve.
        curve: updates of a learning curve.
        headline: agents with 500,000 steps each.
        many: seeds of the default preset; 0: none.
        updates: of a training; None: the preset's.
        episodes: of each agent's evaluation.
        ppo: batches of PPO, lanes x steps.
        seconds: for which power is sampled.
    """

    lanes: tuple[int, ...]
    wide: int
    few: int
    num_steps: int
    short: int
    slots: int
    training: int
    repeats: int
    precisions: tuple[str, ...]
    values: Mapping[str, tuple[Any, ...]]
    tilings: tuple[tuple[int, int], ...]
    seeds: int
    curve: int
    headline: int
    many: int
    updates: int | None
    episodes: int
    ppo: tuple[tuple[int, int], ...]
    seconds: float


SIZES = {
    "full": Size(
        lanes=(65_536, 64, 4_096, 1_048_576, 1_024, 262_144, 16_384, 256),
        wide=65_536,
        few=64,
        num_steps=500,
        short=32,
        slots=300_000_000,
        training=30,
        repeats=5,
        precisions=("float32", "tensorfloat32", "bfloat16"),
        values={
            "block_steps": (10, 20, 50),
            "lane_width": (2**14, 2**20),
            "block_rows": (2**20, 2**22, 2**24),
            "unroll_block": (False, True),
            "unroll_returns": (8, 32, 128),
            "packed": (False, True),
            "sums": (False, True),
        },
        tilings=((8, 1), (4, 1), (16, 1), (32, 1), (32, 2), (64, 2), (128, 4)),
        seeds=16,
        curve=20,
        headline=2_048,
        many=1_024,
        updates=None,
        episodes=100,
        ppo=((2_048, 128), (64, 128), (65_536, 128)),
        seconds=3.0,
    ),
    "tiny": Size(
        lanes=(2,),
        wide=2,
        few=2,
        num_steps=8,
        short=4,
        slots=1,
        training=2,
        repeats=1,
        precisions=("float32",),
        values={"block_rows": (8,)},
        tilings=((4, 1),),
        seeds=2,
        curve=2,
        headline=2,
        many=0,
        updates=2,
        episodes=2,
        ppo=((4, 4),),
        seconds=0.0,
    ),
}
