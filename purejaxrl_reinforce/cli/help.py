"""The help of a verb: tyro's list of options, in groups."""

import re

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

# Options that are in no group come first, with what is special to the verb.
GROUPS = {
    "environment": ("env", "env-params"),
    "batch": ("rollout", "num-envs", "num-steps", "num-updates", "reset-each-update"),
    "networks": (
        "hidden-sizes", "activation", "network", "layer-norm", "orthogonal", "action", "log-std",
        "initial-std",
    ),
    "algorithm": (
        "gamma", "trace-lambda", "bootstrap", "baseline", "advantage-norm", "entropy-coef",
        "normalize-obs", "obs-clip", "normalize-rewards", "gradient-noise",
    ),
    "optimizer": (
        "policy-lr", "baseline-lr", "anneal", "baseline-steps", "max-grad-norm", "adam-epsilon",
        "keras-adam",
    ),
    "output": (
        "run-dir", "sweep-dir", "out", "force", "quiet", "tensorboard", "wandb", "wandb-project",
        "wandb-group", "wandb-tags",
    ),
    "checkpoints": ("resume", "checkpoint-every", "checkpoint-seconds", "keep"),
    "performance": ("precision", "platform", "engine", "block-steps", "lane-width", "block-rows"),
    "cluster": ("coordinator", "num-processes", "process-id"),
}  # fmt: skip


def print_help(text: str) -> None:
    """Print tyro's text without colors: options in a frame for each group, a script as it is."""
    if not text.startswith("usage:"):
        print(text, end="")
        return
    console = Console(highlight=False)
    head, *frames = re.split(r"^╭", text, flags=re.MULTILINE)
    console.print(head, markup=False, end="")
    for frame in frames:
        title, *lines = frame.splitlines()
        body = "\n".join(line[2:-2].rstrip() for line in lines if line.startswith("│"))
        title = title.strip("─╮ ")
        groups = {title: body} if title != "options" else _grouped(body)
        for name, options in groups.items():
            shown = Text(options)
            shown.highlight_regex(r"(?m)^-.*?(?=  |$)", "bold")
            shown.highlight_regex(r"\((default:[^)]*|required|repeatable)\)", "cyan")
            name = f"[not dim bold green]{name}"
            console.print(Panel(shown, title=name, title_align="left", border_style="dim"))


def _grouped(body: str) -> dict[str, str]:
    """Return the options, each with its explanation, by group and in its order."""
    entries = {re.findall(r"[\w-]+", entry)[0]: entry for entry in re.split(r"\n(?=-)", body)}
    groups = {
        title: [entries.pop(f"--{name}") for name in names if f"--{name}" in entries]
        for title, names in GROUPS.items()
    }
    groups = {"options": list(entries.values()), **groups}
    return {title: "\n".join(options) for title, options in groups.items() if options}
