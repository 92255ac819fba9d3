"""The help of a verb: tyro's list of options, in groups."""

import os
import re
import shutil
import sys
import textwrap

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
    "evaluation": ("eval-every", "eval-episodes"),
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
    head, *frames = re.split(r"^(?=╭)", text, flags=re.MULTILINE)
    width = shutil.get_terminal_size().columns
    wrapped = "\n".join(textwrap.fill(line, width) for line in head.splitlines())
    out = f"{wrapped}\n{''.join(map(_regroup, frames))}"
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        for pattern, style in _STYLES.items():
            out = re.sub(pattern, f"\x1b[{style}m\\g<0>\x1b[0m", out, flags=re.MULTILINE)
    try:
        out.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        out = out.translate(_ASCII)
    print(out, end="")


# Options; what they are by default; titles of frames.
_STYLES = {
    r"(?<=^│ )-.*?(?=  | *│$)": 1,
    r"\((default:[^)│\n]*|required|repeatable)\)?": 36,
    r"(?<=^╭─ )[a-z ]+(?= ─)": "1;32",
}
_ASCII = str.maketrans("╭╮╰╯─│•", "++++-|*")


def _regroup(frame: str) -> str:
    """Return a frame; that of the options as one for each group, in their order."""
    top, *lines, bottom = frame.splitlines()
    if not top.startswith("╭─ options "):
        return frame
    entries = re.split(r"\n(?=│ -)", "\n".join(lines))
    left = {re.findall(r"-[\w-]+", entry)[0]: entry for entry in entries}
    groups = {
        title: [left.pop(f"--{name}") for name in names if f"--{name}" in left]
        for title, names in GROUPS.items()
    }
    parts = {"options": list(left.values()), **groups}
    return "".join(
        "\n".join([f"╭─ {title} ".ljust(len(top) - 1, "─") + "╮", *options, bottom, ""])
        for title, options in parts.items()
        if options
    )
