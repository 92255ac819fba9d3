"""All verbs except `train` and `sweep`: each calls one function and prints its result.

Names of `library` are imported when they are used: help and errors of options come at once.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

import purejaxrl_reinforce as library
from purejaxrl_reinforce.cli import options
from purejaxrl_reinforce.config import checked_seed
from purejaxrl_reinforce.output.files import new_dated_path, new_file, write_output


@dataclass(frozen=True)
class Evaluate:
    """Play whole episodes with the policy of a run directory and print return statistics."""

    run_dir: options.RunArgument
    num_episodes: int = 100
    """Episodes to play."""
    sample: options.SampleOption = False
    seed: options.SeedOption = 0
    backend: Literal["jax", "gymnasium"] = "jax"
    """gymnasium: play as many episodes in Gymnasium too, and compare the mean returns."""

    def run(self) -> None:
        from purejaxrl_reinforce.evaluation.scores import evaluate_run

        run = library.load_run(self.run_dir)
        print(evaluate_run(run, self.num_episodes, not self.sample, self.seed, self.backend))


@dataclass(frozen=True)
class Export:
    """Write the policy of a run directory as plain arrays, with a JSON that names its layers."""

    run_dir: options.RunArgument
    out: Path | None = None
    """New file that ends in .npz or .safetensors, with a JSON beside. None: policy.npz in RUN."""
    force: options.ForceOption = False

    def run(self) -> None:
        path = library.export(self.run_dir, self.out, self.force)
        print(f"{path}, {path.with_suffix('.json').name}")


@dataclass(frozen=True)
class Video:
    """Render episodes of the policy of a run directory as a GIF or MP4.

    Episodes are played in Gymnasium and drawn by its renderer. For an environment without a
    renderer they are played in gymnax, and the observations are drawn.
    """

    run_dir: options.RunArgument
    out: Path | None = None
    """New file that ends in .gif or .mp4. None: video.gif in RUN."""
    force: options.ForceOption = False
    num_episodes: int = 1
    """Episodes to show at once, in a grid."""
    sample: options.SampleOption = False
    checkpoints: bool = False
    """Show the policy at each checkpoint instead, always from the same start."""
    width: int = 300
    """Width of each episode's picture, pixels."""
    seed: options.SeedOption = 0

    def run(self) -> None:
        written = library.video(
            self.run_dir,
            self.out,
            num_episodes=self.num_episodes,
            greedy=not self.sample,
            checkpoints=self.checkpoints,
            width=self.width,
            seed=self.seed,
            force=self.force,
        )
        print(written)


@dataclass(frozen=True)
class Describe:
    """Describe a configuration: spaces, networks, batch, memory, operations per step."""

    start: options.ConfigOption = field(default_factory=options.ConfigOptions)

    def run(self) -> None:
        from purejaxrl_reinforce.execution.memory import free_bytes

        config, _ = self.start.load()
        lines = library.describe(config)
        lines["memory"] += f"; {free_bytes() / 1e9:,.1f} GB are free"
        width = max(map(len, lines))
        for name, text in lines.items():
            print(f"{name:<{width}}  {text}")


@dataclass(frozen=True)
class Plot:
    """Draw learning curves of run and sweep directories.

    Runs that differ only by seed are one curve: their interquartile mean, with its 95% interval as
    a band. So is each setting of a sweep, the best first. Each environment has axes of its own,
    with at most 28 curves; the figures in the directory of a larger sweep show its best settings.
    """

    sources: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(
            metavar="RUN|SWEEP [RUN|SWEEP ...]",
            help="Directories of runs and sweeps.",
            help_behavior_hint="(one or more)",
        ),
    ]
    out: Path | None = None
    """New file that ends in .png, .svg or .pdf. None: curves.png, or FIGURE.png."""
    force: options.ForceOption = False
    x: Literal["env_steps", "seconds", "update"] = "env_steps"
    """Horizontal axis; seconds of training are recorded for runs, not for agents of a sweep."""
    smooth: int = 1
    """Moving average over this many updates; the figure names it."""
    style: Literal["screen", "phone", "paper"] = "screen"
    """paper: as wide as a column, 3.3 inches, with letters of 7 points."""
    figure: Literal[
        "learning_curves", "evaluation_curves", "final_returns", "performance_profiles", "heatmap"
    ] = "learning_curves"
    """Kind of figure; all but learning_curves need one sweep."""

    def run(self) -> None:
        from purejaxrl_reinforce.figures.style import save_figure

        name = "curves" if self.figure == "learning_curves" else self.figure
        suffixes = (".png", ".svg", ".pdf")
        path = new_file(self.out, Path(f"{name}.png"), suffixes, self.force)
        figure = library.plot(
            *self.sources, x=self.x, smooth=self.smooth, style=self.style, figure=self.figure
        )
        with write_output(path) as unfinished:
            save_figure(figure, unfinished, path.suffix[1:].lower())
        print(path)


@dataclass(frozen=True)
class Report:
    """Write a run, a sweep or the JSON of a benchmark as one self-contained HTML file.

    Figures and video are embedded.
    """

    source: Annotated[
        tyro.conf.Positional[Path],
        tyro.conf.arg(
            metavar="RUN|SWEEP|BENCH", help="Directory of a run or a sweep, or JSON of a benchmark."
        ),
    ]
    out: Path | None = None
    """New file that ends in .html. None: report.html in RUN or SWEEP, or beside BENCH."""
    force: options.ForceOption = False
    seed: int = 0
    """Seed of the evaluation and the video."""

    def run(self) -> None:
        path = library.report(self.source, self.out, self.seed, self.force)
        print(f"{path}: {path.stat().st_size / 1e3:,.0f} kB")


@dataclass(frozen=True)
class Bench:
    """Measure how fast a configuration trains, or a standard workload, and compare measurements.

    Training is compiled once and run from scratch several times, interleaved with its phases. The
    result is a JSON file. The exit code is 1 if --compare finds a row slower, if --verify finds a
    difference, or if a sample failed; 130 after Ctrl-C, when the file has what was measured before.
    """

    workload: str | None = None
    """Standard workload instead of a configuration, which also proves that seeds learn:
    cartpole-reinforce-v1, cartpole-reinforce-v1-tanh or cartpole-reinforce-sweep-v1."""
    seed: options.TrainingSeedOption = None
    repeats: int = 6
    """Samples of each timing; 5 or more are needed to compare, 6 for an interval."""
    energy: bool = False
    """Repeat the workload for a minute, and read the energy counters of the CPU or GPU."""
    price_per_hour: float | None = None
    """Dollars per hour of this machine, for the price of a solved seed of the workload."""
    out: Path | None = None
    """New file that ends in .json. None: one below bench/."""
    force: options.ForceOption = False
    compare: Annotated[tuple[Path, Path] | None, tyro.conf.arg(metavar="OLD NEW")] = None
    """Only compare two JSON files: slower or faster means by 5% or more, at 95% confidence."""
    verify: Annotated[Path | None, tyro.conf.arg(metavar="RESULT.json")] = None
    """Only run the workload of a result again, with other seeds, and compare."""
    against: Literal["idiomatic"] | None = None
    """Only compare with a straightforward JAX program with the same losses, interleaved."""
    start: options.ConfigOption = field(default_factory=options.ConfigOptions)

    def run(self) -> int:
        if self.compare is not None:
            self._require_alone("compare")
            return _compare(*self.compare)
        if self.verify is not None:
            self._require_alone("verify")
            return _verify(self.verify)
        if self.against is not None:
            return self._run_against()
        return self._measure()

    def _require_alone(self, name: str) -> None:
        if self != Bench(**{name: getattr(self, name)}):
            raise ValueError(f"--{name} takes no other option beside it")

    def _run_against(self) -> int:
        from purejaxrl_reinforce.bench.idiomatic.against import against_idiomatic

        config, seed = self.start.load(self.seed)
        if self != Bench(
            against=self.against, seed=self.seed, repeats=self.repeats, start=self.start
        ):
            raise ValueError("--against takes a configuration, --seed and --repeats, nothing else")
        for speeds in against_idiomatic(config, seed, self.repeats):
            print(speeds.line())
        return 0

    def _measure(self) -> int:
        from purejaxrl_reinforce.bench import benchmark
        from purejaxrl_reinforce.execution.signals import interruptible
        from purejaxrl_reinforce.output.json_text import dump_json
        from purejaxrl_reinforce.output.text import print_table

        measure, name = self._measurement()
        default = new_dated_path(Path("bench"), name, ".json")
        path = new_file(self.out, default, (".json",), self.force)
        with interruptible(), write_output(path) as unfinished:  # first: no result gets lost
            result = measure()
            unfinished.write_text(dump_json(result))
        print_table(*benchmark.result_table(result))
        print(*benchmark.result_summary(result), sep="\n")
        print(path)
        return benchmark.exit_code(result)

    def _measurement(self) -> tuple[Callable[[], dict[str, Any]], str]:
        """Return the function that measures what the options say, and a name for its file."""
        from purejaxrl_reinforce.bench import benchmark, standard
        from purejaxrl_reinforce.bench.standard import FREE_FIELDS

        if self.workload is None:
            config, seed = self.start.load(self.seed)
            for name in ("energy", "price_per_hour"):
                if getattr(self, name):
                    raise ValueError(f"--{name.replace('_', '-')} needs --workload")
            return functools.partial(benchmark.benchmark, config, seed, self.repeats), config.env
        workload = standard.standard(self.workload)
        fields = self.start.fields
        if self.start != options.ConfigOptions(options=fields) or set(fields) - set(FREE_FIELDS):
            free = {*FREE_FIELDS} - {"platform"}  # which is no option
            names = ", ".join(f"--{name.replace('_', '-')}" for name in FREE_FIELDS if name in free)
            raise ValueError(
                f"--workload {workload.name} has a configuration of its own; it takes {names} alone"
            )
        workload = workload._replace(config=workload.config.replace(**fields))
        if self.price_per_hour is not None and not 0 <= self.price_per_hour < math.inf:
            raise ValueError(f"--price-per-hour must be at least 0, not {self.price_per_hour}")
        arguments = checked_seed(self.seed or 0), self.repeats, self.energy, self.price_per_hour
        return functools.partial(benchmark.benchmark_standard, workload, *arguments), workload.name


def _compare(old_path: Path, new_path: Path) -> int:
    from purejaxrl_reinforce.bench import compare
    from purejaxrl_reinforce.bench.result_file import load_result
    from purejaxrl_reinforce.execution.fingerprint import compare_fingerprints
    from purejaxrl_reinforce.output.text import print_table, printable

    old, new = load_result(old_path), load_result(new_path)
    changes = compare.compare(old, new)
    if old["date"] > new["date"]:
        print("warning: the old result is the newer one")
    for line in compare.differences(old, new):
        print(f"warning: {printable(line)}")
    if "fingerprint" in old and "fingerprint" in new:
        found = compare_fingerprints(old["fingerprint"], new["fingerprint"])
        print(f"parameters after {old['fingerprint']['updates']} updates: {found}")
    title = f"{old['benchmark']}: {old_path.name} to {new_path.name}"
    print_table(title, compare.COLUMNS, [change.cells() for change in changes])
    return int(any(change.verdict == "slower" for change in changes))


def _verify(path: Path) -> int:
    from purejaxrl_reinforce.bench import benchmark, compare, verify
    from purejaxrl_reinforce.bench.result_file import load_result
    from purejaxrl_reinforce.bench.standard import FREE_FIELDS
    from purejaxrl_reinforce.execution.machine import describe_machine
    from purejaxrl_reinforce.output.json_text import dump_json, parse_json
    from purejaxrl_reinforce.output.text import print_table, printable

    recorded = load_result(path)
    workload = verify.workload_of(recorded)
    lines = verify.contradictions(recorded)
    if not lines:
        if recorded["machine"] == describe_machine():  # another may need other sizes of blocks
            free = {x: y for x, y in recorded["config"].items() if x in FREE_FIELDS}
            workload = workload._replace(config=workload.config.replace(**free))
        first_seed = (recorded["learning"]["first_seed"] + verify.FRESH) % 2**32
        measured = benchmark.benchmark_standard(
            workload, recorded["seed"], recorded["repeats"], first_seed=first_seed
        )
        if benchmark.exit_code(measured) > 1:
            raise KeyboardInterrupt
        here = parse_json(dump_json(measured))  # as it would be in a file
        lines = verify.verify(recorded, here)
        for line in [*compare.differences(recorded, here), *benchmark.disturbed(here)]:
            print(f"warning: {printable(line)}")
    print_table(f"{workload.name}: {path.name}", verify.COLUMNS, lines)
    return int(any(line.verdict == verify.DIFFER for line in lines))


@dataclass(frozen=True)
class Doctor:
    """Compare this machine's results with NumPy's in float64, and name known faults.

    The exit code is 1 if results of this package would be wrong on this machine, else 0.
    """

    def run(self) -> int:
        lines = library.doctor()
        width = max(len(line.subject) for line in lines)
        for line in lines:
            print(f"{line.subject:<{width}}  {line.verdict:<5}  {line.detail}")
            if line.advice:
                print(f"{'':<{width}}  advice: {line.advice}")
        return int(any(line.verdict == "wrong" for line in lines))
