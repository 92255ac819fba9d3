"""What `describe` says against what is then trained."""

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.bench.flops import phase_costs
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.reports.description import describe
from tests.support.configs import TEXTBOOK


def test_cartpole(capsys):
    assert main(["describe"]) == 0
    out = capsys.readouterr().out
    assert "CartPole-v1, at most 500 steps per episode" in out
    assert "Box of shape (4,), float32, from [-4.8, -inf, -0.4189, -inf] to [4.8, inf, " in out
    assert "Discrete: 2 values, 0 to 1" in out
    assert "at most 32,000 steps per update" in out
    assert "at most 3,200,000 steps" in out
    costs = phase_costs(Config())
    total = sum(cost.flops for name, cost in costs.items() if name != "optimizer")
    assert f"at least {total:,.0f} floating-point operations per environment step" in out


def test_other_options(capsys):
    untuned = ["--preset", "cartpole", "--env", "Pendulum-v1"]
    assert main(["describe", *untuned, "--num-envs", "1"]) == 0
    out = capsys.readouterr().out
    assert "Box of shape (1,), float32, from -2 to 2" in out
    assert "3 x 64 x 1, relu, and log_std: 322 parameters" in out
    assert "1 whole episode of at most 200 steps" in out
    assert main(["describe", "--preset", "classic"]) == 0
    assert "1 lane of 2,000 steps: 2,000 steps per update" in capsys.readouterr().out


def test_networks_in_words():
    minatar = describe(Config(env="Breakout-MinAtar", layer_norm=True))
    assert minatar["policy network"].startswith(
        "16 filters of 3 x 3, 1024 x 64 x 3, relu, layer norm: "
    )
    own = describe(Config(env="Pendulum-v1", network="tests.support.networks:Tanh"))
    assert own["policy network"] == "tests.support.networks:Tanh, and log_std: 42 parameters"
    assert describe(TEXTBOOK.replace(baseline="none"))["baseline network"] == "none"
