"""Two real processes on one machine sweep together: the same results, one voice, one end."""

import signal
import time

import jax
import pytest

from tests.support.processes import LOST, Command, pair, wait_until
from tests.support.sweeps import assert_same_results, slices_of

SWEEP = [
    "sweep", "--num-envs", "4", "--hidden-sizes", "8", "--num-updates", "50", "--num-seeds", "41",
    "--slice-size", "4", "--num-episodes", "3", "--axis", "policy_lr=0.01,0.1",
]  # fmt: skip


def sweep_alone(path):
    """Sweep with one process."""
    # One device takes twice as many agents at once as each of two. Only programs that are compiled
    # as users have them then have the same bits.
    devices = 2 if jax.config.values["jax_disable_most_optimizations"] else 1
    arguments = (*SWEEP, "--sweep-dir", path, "--quiet")
    assert Command(*arguments, directory=path.parent, devices=devices).wait() == (0, "", "")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "sweep"
    sweep_alone(path)
    return path


def test_two_processes_sweep_as_one_does(tmp_path, undisturbed):
    path = tmp_path / "sweep"
    with pair(*SWEEP, "--sweep-dir", path, directory=tmp_path) as (first, second):
        code, output, errors = first.wait()
        assert second.wait() == (0, "", "")
    assert code == 0, errors
    assert "82/82 agents" in errors
    assert "41 seeds, 2 settings: " in output
    assert_same_results(path, undisturbed)
    assert {f.name for f in path.iterdir()} == {f.name for f in undisturbed.iterdir()}


# The coordinator is in process 0, without which jax logs, and may abort, the other one.
@pytest.mark.parametrize("victim", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_killed_process_ends_the_other_and_a_rerun_finishes(tmp_path, undisturbed, victim):
    """The rerun may have two processes or one."""
    path = tmp_path / "sweep"
    with pair(*SWEEP, "--sweep-dir", path, "--quiet", directory=tmp_path) as both:
        wait_until(lambda: len(slices_of(path)) >= 2, both[0])
        both[victim].kill()
        killed = time.monotonic()
        code, output, errors = both[1 - victim].wait()
        assert time.monotonic() - killed < 60
    assert (code, output) == (1, "") or (victim == 0 and code == -signal.SIGABRT)
    assert LOST in errors or code < 0
    done = len(slices_of(path))
    assert 2 <= done < 21
    if victim == 0:
        with pair(*SWEEP, "--sweep-dir", path, "--quiet", directory=tmp_path) as both:
            assert [process.wait() for process in both] == [(0, "", "")] * 2
    else:
        sweep_alone(path)
    assert f"{4 * done} agents already trained" in (path / "sweep.log").read_text()
    assert_same_results(path, undisturbed)


@pytest.mark.slow
def test_a_signal_to_one_stops_both(tmp_path):
    path = tmp_path / "sweep"
    with pair(*SWEEP, "--sweep-dir", path, "--quiet", directory=tmp_path) as both:
        wait_until(lambda: slices_of(path), both[0])
        both[1].send_signal(signal.SIGTERM)
        code, output, errors = both[0].wait()
        assert both[1].wait() == (143, "", "")
    assert (code, output) == (143, "")
    assert errors == (
        f"interrupted by SIGTERM; {4 * len(slices_of(path))} of 82 agents are in {path}; rerun the"
        " same sweep command to finish\n"
    )
