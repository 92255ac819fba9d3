"""Parts of the live panels."""

import numpy as np
import pytest

from purejaxrl_reinforce.output.panel import curve, figure, figures
from purejaxrl_reinforce.output.progress import waiting
from tests.support.screen import drawn


def test_a_curve_has_bars_from_the_lowest_to_the_highest_value():
    # 4 rows of 8 levels, of which the lowest value has one.
    values = np.array([0.0, np.nan, 15.0, 31.0])
    assert drawn(curve(values, 12)) == ["31.0    █", "        █", "       ██", "   0 ▁ ██"]


def test_a_constant_curve_is_drawn_low():
    assert drawn(curve(np.full(3, 500.0), 12))[-1] == "500.0 ▁▁▁"


def test_a_long_curve_shows_means_of_equal_parts():
    values = np.repeat([0.0, np.nan, 31.0], 1000)
    values[::2] = np.nan
    assert drawn(curve(values, 5 + 30))[-1] == "   0 " + "▁" * 10 + " " * 10 + "█" * 10


def test_a_curve_without_values_is_empty():
    assert drawn(curve(np.full(5, np.nan), 12)) == ["-", "", "", "-"]


def test_a_curve_in_ascii():
    assert drawn(curve(np.array([0.0, 31.0]), 12, ascii_only=True))[-1] == "   0 .@"


def test_figures_are_read_downwards_in_as_many_columns_as_fit():
    values = {"a": "1", "bb": "2", "c": "3", "d": "4", "e": "5"}
    assert drawn(figures(values, 30)) == ["a  1         d 4", "bb 2         e 5", "c  3"]
    assert len(drawn(figures(values, 100))) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(487.31, "487.3"), (-0.0, "0"), (0.01234, "0.0123"), (1e-9, "1e-09"), (np.nan, "-")],
)
def test_figures_are_short(value, text):
    assert figure(value) == text


def test_waiting_is_in_seconds_and_then_in_minutes():
    assert [waiting(seconds) for seconds in (0.4, 12, 65)] == ["0 s", "12 s", "1:05 min"]
