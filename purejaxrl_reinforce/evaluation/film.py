"""What a video shows: episodes side by side, and how each stands at every step."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from PIL.Image import Image

from purejaxrl_reinforce.losses import Params


class Panel(NamedTuple):
    """One episode of a video: its title, who plays it, and the seed of its randomness."""

    title: str
    params: Params
    seed: int


class View(NamedTuple):
    """How an episode stands at one step; once it has ended, it stays as it is.

    Attributes:
        picture: draws it, RGB. To be called before the next scene is asked for.
        episode_length: steps so far.
        episode_return: sum of rewards so far.
        done: whether it has ended.
    """

    picture: Callable[[], Image]
    episode_length: int
    episode_return: float
    done: bool


class Film(NamedTuple):
    """Episodes from their first state to the last one of the longest.

    Attributes:
        steps_per_second: at which the environment is meant to be seen.
        scenes: the views of all panels, step after step.
    """

    steps_per_second: float
    scenes: Iterator[list[View]]
