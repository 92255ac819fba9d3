"""The verb `bench`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from purejaxrl_reinforce.cli.options import (
    ConfigOption,
    ConfigOptions,
    ForceOption,
    TrainingSeedOption,
)


@dataclass(frozen=True)
class Bench:
    """Measure how fast a configuration trains, phase by phase, or compare two measurements.

    Training is compiled once and run from scratch several times. The results are a JSON file and
    a figure. With --compare the exit code is 1 if anything got slower, else 0.
    """

    seed: TrainingSeedOption = None
    repeats: Annotated[
        int, tyro.conf.arg(help="Samples of each timing; 5 or more are needed to compare.")
    ] = 5
    out: Annotated[
        Path | None,
        tyro.conf.arg(help="New file that ends in .json, or a directory. None: one below bench/."),
    ] = None
    force: ForceOption = False
    compare: Annotated[
        tuple[Path, Path] | None,
        tyro.conf.arg(
            metavar="OLD NEW",
            help="Measure nothing; compare two JSON files. A row is slower or faster if the 95%"
            " interval of the ratio excludes 1 and the ratio differs from 1 by at least 5%.",
        ),
    ] = None
    start: ConfigOption = field(default_factory=ConfigOptions)

    def run(self) -> int:
        from purejaxrl_reinforce.output.text import print_table

        if self.compare is not None:
            from purejaxrl_reinforce.bench.compare import compare_files

            if self != Bench(compare=self.compare):
                raise ValueError("--compare takes two JSON files and no other option")
            comparison = compare_files(*self.compare)
            for line in comparison.differences:
                print(f"warning: {line}")
            print_table(*comparison.table())
            return 1 if comparison.is_slower else 0
        from purejaxrl_reinforce.execution.jax_settings import prepare

        prepare()
        from purejaxrl_reinforce.bench.benchmark import (
            result_summary,
            result_table,
            run_benchmark,
        )

        config, seed = self.start.load(self.seed)
        path, result = run_benchmark(config, seed, self.repeats, self.out, self.force)
        print_table(*result_table(result))
        print(*result_summary(result), sep="\n")
        print(f"{path}, {path.with_suffix('.png').name}")
        return 0
