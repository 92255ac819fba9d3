"""Workload of many agents side by side: the same rates, of as many as the devices have room for."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.lanes import ONE_DEVICE, key_of
from purejaxrl_reinforce.algorithm.reinforce import collect
from purejaxrl_reinforce.algorithm.rollout import steps_per_update
from purejaxrl_reinforce.bench.learning import Seed, until_interrupted
from purejaxrl_reinforce.bench.standard import Standard
from purejaxrl_reinforce.bench.timing import FAILED, Call
from purejaxrl_reinforce.bench.workload import (
    ENVIRONMENT,
    ROLLOUT,
    TRAINING,
    facts_of,
    least_work,
    random_play,
)
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.execution.fingerprint import UPDATES, fingerprint
from purejaxrl_reinforce.execution.jax_settings import all_devices
from purejaxrl_reinforce.execution.program import Chunk
from purejaxrl_reinforce.sweeps.population import Job, Slice, make_population

_EPISODES = 100  # of each agent's evaluation


class AgentsWorkload:
    """Many agents of a standard workload, compiled; ready to be timed.

    The timed calls are of the first agents, as many as there is room for at once. `config`,
    `facts`, `calls` and `work` are as of a `Workload`.
    """

    def __init__(self, standard: Standard, seed: int) -> None:
        self.standard, self.config = standard, standard.config
        number = standard.num_agents
        devices = all_devices()[:number]
        self._population = make_population(self.config, number, devices, None, _EPISODES)
        size = min(self._population.capacity, number)
        first, num_updates = self._job(seed, size), self.config.num_updates
        halfway = self._trained(first._replace(goal=num_updates // 2))
        first_half = first._replace(done=num_updates // 2, before=halfway)
        self.calls: dict[str, Call] = {
            ENVIRONMENT: self._population.compile(
                functools.partial(random_play, axis=ONE_DEVICE), first_half
            ),
            ROLLOUT: self._population.compile(collect, first_half),
            TRAINING: lambda: self._train(first),
        }
        ten = self._trained(self._job(0, 1)._replace(goal=UPDATES))
        params = jax.tree.map(lambda x: x[0], ten.state.params)
        steps = self.config.num_envs * steps_per_update(
            self.config, environment.make(self.config.env)
        )
        self.work = least_work(self.config, steps * num_updates, num_updates, steps, size)
        slots = self.work[TRAINING][0]  # agents of a workload stream, so that all are valid
        self.facts: dict[str, Any] = {
            "agents_at_once": size,
            **facts_of(self._population, slots, slots),
            "fingerprint": fingerprint(params, UPDATES, seed=0),
        }

    def _job(self, first_seed: int, number: int) -> Job:
        """Return the whole training of agents with the seeds from the first on."""
        agents = np.stack([np.zeros(number, int), np.arange(number)], axis=1)
        keys = np.stack([jax.random.key_data(key_of(first_seed + i)) for i in range(number)])
        configs, goal = [self.config] * number, self.config.num_updates
        return Job(agents, configs, keys, _EPISODES, number, done=0, goal=goal, before=None)

    def _trained(self, job: Job) -> Slice:
        *_, trained = self._population.train(job)
        assert isinstance(trained, Slice)
        return trained

    def _train(self, job: Job) -> Any:
        """Train agents, as `_trained` does, but do not play them greedily afterwards."""
        done = 0
        for chunk in self._population.train(job):
            assert isinstance(chunk, Chunk)
            done += chunk.metrics.num_steps.shape[1]
            if done == job.goal:
                return chunk.state
        raise AssertionError("the last chunk ends with the last update")

    def solve(self, first_seed: int, number: int) -> list[Seed]:
        """Train agents through all updates, as many at once as there is room for; play them.

        The seconds of an agent are its share of its slice's.
        """
        return until_interrupted(self._seeds(first_seed, number))

    def _seeds(self, first_seed: int, number: int) -> Iterator[Seed]:
        size = self._population.capacity
        for start in range(0, number, size):
            trained = self._trained(self._job(first_seed + start, min(size, number - start)))
            steps = trained.metrics.num_steps.sum(axis=1, dtype=np.int64)
            solved = trained.evaluation.mean(axis=1) >= self.standard.target
            finite = np.all(trained.metrics.finite, axis=1)
            for i, seconds in enumerate(trained.seconds.tolist()):
                whole = Seed(bool(solved[i]), seconds, int(steps[i]))
                yield whole if finite[i] else Seed(False, None, None, FAILED)
