"""Slice sizes: how many agents a sweep trains together, from memory and measured speed."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.memory import (
    batch_bytes,
    free_bytes,
    require_memory,
    state_bytes,
)
from purejaxrl_reinforce.execution.processes import max_over_processes, run_on_all
from purejaxrl_reinforce.sweeps.population import (
    AGENTS,
    LONGEST_CALL,
    Layout,
    Population,
    population_mesh,
)

# A slice that takes this long costs nothing to write, and little if it is lost.
SECONDS_PER_SLICE = 10.0
# More agents at once are worth it while throughput grows by so much.
LEAST_GROWTH = 1.1
# On a CPU an agent's arrays should stay in a core's cache, so cores take one agent after the other,
# which also keeps the arithmetic that of a run of its own: see benchmarks/README.md.
ONE_BY_ONE = ("cpu",)
# Of free memory, for the states and metrics of a slice.
_SHARE_OF_MEMORY = 0.1
_MOST_GROUPS = 512


class Trial(NamedTuple):
    """Environment steps per second of so many agents together."""

    agents: int
    sps: float


class SliceSizes:
    """The sizes of one population's slices: they double while that helps.

    It helps while throughput grows, and while slices are short. Sizes do not change results.

    Attributes:
        trials: what was measured.
    """

    def __init__(self, layout: Layout, fixed: int | None) -> None:
        self._most = fixed or layout.capacity
        self._step = layout.mesh.shape[AGENTS] * layout.at_once
        self._size = fixed or self._step
        self._growing = fixed is None
        self.trials: list[Trial] = []

    @property
    def next(self) -> int:
        """Agents that the next slice should have."""
        return min(self._size, self._most)

    def note(self, agents: int, steps: int, seconds: float) -> None:
        """Take account of a slice of `agents` agents with `steps` valid steps in all."""
        before = self.trials[-1].sps if self.trials else 0.0
        trial = Trial(agents, steps / max(seconds, 1e-9))
        if not self._growing or agents < self._size:  # the last, which is what was left
            return
        self.trials.append(trial)
        grows = trial.sps >= LEAST_GROWTH * before
        self._growing = seconds < (SECONDS_PER_SLICE if grows else SECONDS_PER_SLICE / 2)
        if self._growing:
            self._size *= 2


def slice_mesh(
    config: Config, num_agents: int, devices: Sequence[jax.Device], width: int | None
) -> Mesh:
    """Return the mesh for slices of the `num_agents` agents of one static setting.

    It depends on all of them, not on how many are left to train, so that results do not.

    Raises:
        ValueError: a process would be left without a device.
    """
    together = num_agents if width is None else min(width, num_agents)
    return population_mesh(together, config.num_envs, devices)


def make_population(
    config: Config, num_agents: int, mesh: Mesh, width: int | None, num_episodes: int
) -> Population:
    """Compile a population for agents of one static setting.

    Args:
        config: one of theirs.
        num_agents: that are to be trained.
        mesh: devices to spread them over, of `slice_mesh`.
        width: agents per slice. None: chosen.
        num_episodes: of each agent's evaluation.

    Raises:
        ValueError: it does not fit into memory.
    """
    together = num_agents if width is None else min(width, num_agents)
    per_device = -(-together // mesh.shape[AGENTS])
    if mesh.devices.flat[0].platform in ONE_BY_ONE:
        groups = per_device if width else min(per_device, _groups_in_memory(config, mesh.size))
        population = Population(config, Layout(mesh, groups, 1), num_episodes)
    elif width is not None:
        population = Population(config, Layout(mesh, 1, per_device), num_episodes)
    else:
        population = _widest_useful(config, mesh, per_device, num_episodes)
    remedy = "try a smaller width or num_envs" if width else "try a smaller num_envs"
    run_on_all(lambda: require_memory(population.memory_bytes, remedy))
    return population


def _groups_in_memory(config: Config, num_devices: int) -> int:
    per_agent = state_bytes(config) + 4 * len(Metrics._fields) * LONGEST_CALL
    # In and out of the program, and on the host.
    fitting = _SHARE_OF_MEMORY * free_bytes() / (3 * per_agent * num_devices)
    return -int(max_over_processes(-max(1, min(_MOST_GROUPS, int(fitting))))[0])  # the least of all


def _widest_useful(config: Config, mesh: Mesh, most: int, episodes: int) -> Population:
    """Try 1, 4, 16, ... agents at once on each device, until that stops paying or fitting."""
    best, best_sps, at_once = None, 0.0, 1
    while True:
        population = Population(config, Layout(mesh, 1, at_once), episodes)
        sps = _measure(config, population)
        if best is not None and sps < LEAST_GROWTH * best_sps:
            return best
        best, best_sps = population, sps
        wider = min(4 * at_once, most)
        needed = batch_bytes(config)
        growth = (wider - at_once) * (needed[0] + config.num_envs * needed[1])
        short = max(growth, 3 * population.memory_bytes) > free_bytes()
        if wider == at_once or max_over_processes(short)[0]:
            return best
        at_once = wider


def _measure(config: Config, population: Population) -> float:
    """Return the environment steps per second of a population's second and third update."""
    capacity = population.layout.capacity
    keys = jax.random.key_data(jax.random.split(jax.random.key(0), capacity))
    agents = population.start([config] * capacity, np.asarray(keys))
    agents, _ = population.advance(agents, 1)
    started = time.perf_counter()
    _, metrics = population.advance(agents, min(2, config.num_updates))
    (seconds,) = max_over_processes(time.perf_counter() - started)
    return int(metrics.num_steps.sum(dtype=np.int64)) / seconds
