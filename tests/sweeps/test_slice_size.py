"""How many agents are trained together: what is tried, and when trying ends."""

import jax
import pytest

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.sweeps import slice_size as slicing
from purejaxrl_reinforce.sweeps.population import Layout, population_mesh
from purejaxrl_reinforce.sweeps.slice_size import SliceSizes

CONFIG = Config(num_envs=4, num_steps=20, num_updates=3, hidden_sizes=(4,))


def layout(groups, at_once=1):
    return Layout(population_mesh(groups * at_once, 4, jax.devices()[:1]), groups, at_once)


def sizes_after(sizes, slices):
    """Return the sizes that follow slices of so many steps per second and seconds."""
    found = [sizes.next]
    for sps, seconds in slices:
        sizes.note(sizes.next, int(sps * seconds), seconds)
        found.append(sizes.next)
    return found


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        # Short slices double, whatever their throughput; and so do longer ones that gain from it.
        ([(100, 1), (100, 2), (100, 4)], [1, 2, 4, 8]),
        ([(100, 4), (150, 6), (200, 8)], [1, 2, 4, 8]),
        ([(100, 4), (101, 6), (300, 1)], [1, 2, 2, 2]),
        ([(100, 11), (300, 1)], [1, 1, 1]),
    ],
)
def test_slices_double_while_that_helps(slices, expected):
    assert sizes_after(SliceSizes(layout(64), None), slices) == expected


def test_slices_do_not_outgrow_their_room():
    assert sizes_after(SliceSizes(layout(3), None), [(100, 1)] * 3) == [1, 2, 3, 3]


def test_a_slice_cut_short_says_nothing():
    sizes = SliceSizes(layout(8), None)
    assert sizes_after(sizes, [(100, 1), (100, 1)]) == [1, 2, 4]
    sizes.note(1, 5, 1.0)
    assert sizes.next == 4
    assert [trial.agents for trial in sizes.trials] == [1, 2]


def test_a_fixed_width_stays():
    assert sizes_after(SliceSizes(layout(8), 5), [(100, 1)] * 3) == [5, 5, 5, 5]


@pytest.mark.parametrize(
    ("sps", "free", "expected"),
    [
        ({1: 10, 4: 40, 16: 150, 64: 155}, 1e12, 16),  # no longer worth it
        ({1: 10, 4: 5}, 1e12, 1),
        ({1: 10, 4: 40, 16: 160, 64: 640, 100: 900}, 1e12, 100),  # no more agents
        ({1: 10, 4: 40, 16: 160}, 3e9, 4),  # 16 need more memory than is free
    ],
)
def test_agents_side_by_side_grow_while_that_pays_and_fits(monkeypatch, sps, free, expected):
    class Fake:
        def __init__(self, config, layout, episodes):
            self.layout = layout
            self.memory_bytes = 0.3e9 * layout.at_once

    monkeypatch.setattr(slicing, "ONE_BY_ONE", ())
    monkeypatch.setattr(slicing, "Population", Fake)
    monkeypatch.setattr(slicing, "_measure", lambda config, p: sps[p.layout.at_once])
    monkeypatch.setattr(slicing, "free_bytes", lambda: free)
    monkeypatch.setattr(slicing, "require_memory", lambda needed, remedy: None)
    mesh = population_mesh(100, 4, jax.devices()[:1])
    chosen = slicing.make_population(CONFIG, 100, mesh, None, 1)
    assert chosen.layout.at_once == expected
    fixed = slicing.make_population(CONFIG, 100, mesh, 7, 1)
    assert (fixed.layout.groups, fixed.layout.at_once) == (1, 7)


def test_devices_take_turns_and_rows_are_padded():
    spread = Layout(layout(1).mesh, groups=3, at_once=2)
    assert (spread.rows, spread.capacity) == (6, 6)
    assert spread.place_of(4).tolist() == [0, 1, 2, 3]
    assert [spread.groups_for(n) for n in (1, 2, 3, 6)] == [1, 1, 2, 3]
