"""Interruptions inside callbacks, of which Python would only print that it ignores them."""

import contextlib
import gc
import signal
import time
import weakref

import pytest

from purejaxrl_reinforce.output.interruption import never_lost


class Interrupting:
    """Interrupts the process when it is no longer used."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def interrupting_collector():
    gc.callbacks.append(lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        gc.callbacks.pop()


def drop_an_object_with_a_finalizer():
    Interrupting()


def drop_what_a_weak_reference_watches():
    def nothing():
        pass

    reference = weakref.ref(nothing, lambda _: signal.raise_signal(signal.SIGINT))
    del nothing
    assert reference() is None


def collect_garbage():
    with interrupting_collector():
        gc.collect()


@pytest.fixture
def interruptible():
    """Take SIGINT as Python does by default: a shell starts background jobs with it ignored."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    "interrupted",
    [drop_an_object_with_a_finalizer, drop_what_a_weak_reference_watches, collect_garbage],
)
def test_an_interruption_inside_a_callback_comes_a_moment_later(interrupted, capsys):
    arrived = []

    def interrupt():
        arrived.append(True)
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGALRM)

    def run():
        with never_lost(interrupt):
            interrupted()
            time.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert arrived
    assert signal.getsignal(signal.SIGALRM) is handler
    assert capsys.readouterr().err == ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_other_exceptions_go_where_they_went(monkeypatch):
    seen = []
    monkeypatch.setattr("sys.unraisablehook", seen.append)

    class Failing:
        def __del__(self):
            raise ValueError

    with never_lost(lambda: None):
        Failing()
    assert [lost.exc_type for lost in seen] == [ValueError]
