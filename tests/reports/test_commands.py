"""Commands on pages: the command line understands them as what was shown."""

import shlex
from dataclasses import replace

import pytest
import tyro

from purejaxrl_reinforce.cli.axis_option import parse_axis
from purejaxrl_reinforce.cli.env_params_option import REGISTRY
from purejaxrl_reinforce.cli.train import Train
from purejaxrl_reinforce.config import FIELD_KINDS, Config
from purejaxrl_reinforce.presets import PRESETS
from purejaxrl_reinforce.reports.commands import axis_option, command, config_options
from purejaxrl_reinforce.reports.labels import label, labeled_fields

CONFIGS = [
    *(preset.config for preset in PRESETS.values()),
    Config(hidden_sizes=(8, 16), num_steps=7, policy_lr=1 / 3, max_grad_norm=0.5),
    Config(env_params={"gravity": 12.0, "length": 0.7}, anneal=False),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_command_makes_its_configuration(config):
    line = command("train", *config_options(config), "--seed", 3, "--run-dir", "a b")
    program, verb, *arguments = shlex.split(line)
    assert (program, verb) == ("purejaxrl-reinforce", "train")
    parsed = tyro.cli(Train, args=arguments, default=Train(config=CONFIGS[0]), registry=REGISTRY)
    assert (parsed.config, parsed.seed, str(parsed.run_dir)) == (config, 3, "a b")


def test_swept_fields_have_no_option():
    config = replace(CONFIGS[0], num_envs=3, gamma=0.5)
    assert config_options(config, but=["gamma"]) == ["--num-envs", "3"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("policy_lr", (1 / 3, 1e-5)),
        ("hidden_sizes", ((), (8,), (8, 16))),
        ("num_steps", (None, 5)),
        ("anneal", (True, False)),
        ("baseline", ("none", "loo")),
    ],
)
def test_an_axis_has_its_values(name, values):
    _, text = axis_option(name, values)
    found, parsed = parse_axis(text)
    assert (found, [tuple(x) if isinstance(x, list) else x for x in parsed]) == (name, list(values))


def test_every_field_has_a_name_in_words():
    assert not [name for name in FIELD_KINDS if "_" in label(name)]
    assert labeled_fields({"num_envs": 8, "seed": 1}) == {"lanes (num_envs)": 8, "seed": 1}
