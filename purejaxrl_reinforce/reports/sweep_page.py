"""Page of a sweep: ranking, learning curves, final returns, comparisons, video, timing."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.evaluation.video import Episode
from purejaxrl_reinforce.figures.style import png_bytes
from purejaxrl_reinforce.output.html import commands, facts, page, paragraph, picture, table
from purejaxrl_reinforce.output.interval import Interval
from purejaxrl_reinforce.output.text import count, short_values
from purejaxrl_reinforce.reports.commands import axis_option, command, config_options
from purejaxrl_reinforce.reports.description import describe
from purejaxrl_reinforce.reports.labels import labeled_fields
from purejaxrl_reinforce.reports.sections import this_report, versions, video
from purejaxrl_reinforce.sweeps.agents import agent_state
from purejaxrl_reinforce.sweeps.figures import sweep_figures
from purejaxrl_reinforce.sweeps.plan import SweepPlan
from purejaxrl_reinforce.sweeps.ranking import (
    RANKING_HEADINGS,
    TOO_FEW,
    explain_ranking,
    ranking_cells,
    show_probability,
    show_score,
)
from purejaxrl_reinforce.sweeps.results import SweepResults, load_sweep
from purejaxrl_reinforce.sweeps.store import load_agent_slice, load_origin, load_plan, load_slices
from purejaxrl_reinforce.sweeps.summary import (
    MOST_PAIRED,
    Summary,
    agent_scores,
    by_env,
    comparisons,
    summarize,
)

# A wider table does not fit on a page.
_MOST_PAIRED = 8

_ALTS = {
    "learning_curves": "Learning curves: training return over environment steps, by setting.",
    "evaluation_curves": "Greedy return during training over environment steps, by setting.",
    "final_returns": "Final returns: the score of each seed, and their mean, by setting.",
    "performance_profiles": "Performance profiles: how many seeds score above each return.",
    "heatmap": "Heat map: the mean score of the seeds for each pair of the two swept fields.",
}


def sweep_page(sweep_dir: Path, seed: int) -> str:
    """Return the HTML page of a sweep.

    Args:
        sweep_dir: directory of the sweep.
        seed: of the video.

    Raises:
        ValueError: it is not a sweep directory, or a file in it is missing or damaged.
    """
    results, plan = load_sweep(sweep_dir), load_plan(sweep_dir)
    timing = facts(_timing(sweep_dir, plan, results))
    trained_with, machine = load_origin(sweep_dir)
    summaries = summarize(results)
    rankings = by_env(summaries)
    best = [ranked[0] for ranked in rankings.values()]
    curves, others = _pictures(results, summaries)
    title = f"{' and '.join(rankings)}: a sweep with REINFORCE, {count(plan.num_agents, 'agent')}"
    return page(
        title,
        {
            "Summary": facts(_overview(plan, results, rankings)),
            "Settings": "\n".join(map(_ranking, rankings.values())),
            "Learning curves": curves,
            "Final evaluation": _evaluation(plan) + others,
            **_comparisons(results, summaries),
            "Video": "\n".join(_video(sweep_dir, plan, results, s, seed) for s in best),
            "Timing": timing,
            "Machine": facts(machine),
            "Swept fields": facts(labeled_fields(_swept(plan, results))),
            "Fields that all settings share": facts(labeled_fields(_shared(plan))),
            "Commands": _commands(sweep_dir.absolute().name, plan, results, best[0]),
            "Best setting": "\n".join(facts(describe(plan.configs[s.setting])) for s in best),
            "Versions": versions(trained_with),
            "This report": this_report("The video was made on this machine."),
        },
    )


def _commands(name: str, plan: SweepPlan, results: SweepResults, best: Summary) -> str:
    axes = [word for field, values in plan.axes.items() for word in axis_option(field, values)]
    options = [*config_options(plan.config, but=plan.axes), *axes, *["--zip"] * plan.zipped]
    seeds = ["--num-seeds", plan.num_seeds, "--seed", results.seeds[0]]
    agent = ["--setting", best.setting, "--seed", results.seeds[0], "--run-dir", f"{name}-best"]
    return paragraph(
        "The first repeats the sweep; the second takes one agent out of it."
    ) + commands(
        [
            command(
                "sweep", *options, *seeds, "--episodes", plan.num_episodes, "--sweep-dir", name
            ),
            command("extract", name, *agent),
            command("evaluate", f"{name}-best"),
            command("plot", name),
        ]
    )


def _pictures(results: SweepResults, summaries: Sequence[Summary]) -> tuple[str, str]:
    """Return the learning curves, and the other pictures."""
    pictures = {
        name: picture(png_bytes(figure), "png", _ALTS[name])
        for name, figure in sweep_figures(results, summaries, "phone").items()
    }
    curves = pictures.pop(
        "learning_curves", paragraph("No agent finished an episode before it diverged.")
    )
    return curves, "\n".join(pictures.values())


def _overview(
    plan: SweepPlan, results: SweepResults, rankings: dict[str, list[Summary]]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "settings": len(plan.configs),
        "seeds of each": plan.num_seeds,
        "agents": plan.num_agents,
        "agents that diverged": int(np.isinf(agent_scores(results)).sum()),
    }
    for env, ranked in rankings.items():
        best = ranked[0]
        where = f" in {env}" if len(rankings) > 1 else ""
        found[f"best setting{where}"] = f"{best.setting}: {best.label}"
        found[f"settings not told from it{where}"] = (
            ", ".join(str(s.setting) for s in ranked[1:] if s.may_be_best) or "none"
        )
        found[f"its interquartile mean of greedy returns{where}"] = _with_bounds(
            show_score, best.iqm
        )
        if best.num_solved is not None and best.solved is not None:
            share = _with_bounds("{:.0%}".format, best.solved)
            found[f"its seeds that solve {env}"] = (
                f"{best.num_solved:,} of {best.num_seeds:,}: {share}"
            )
    return found


def _with_bounds(show_one: Any, interval: Interval) -> str:
    value, low, high = (show_one(float(x)) for x in interval)
    if interval.high == np.inf:
        return f"{value} ({TOO_FEW} for an interval)"
    return value if np.isinf(interval.high) else f"{value} (95% interval {low} to {high})"


def _ranking(ranked: Sequence[Summary]) -> str:
    env = ranked[0].env
    rows = [ranking_cells(summary, ranked) for summary in ranked]
    return (
        paragraph(f"{env}, {count(ranked[0].num_seeds, 'seed')} each, the best setting first.")
        + table(RANKING_HEADINGS, rows)
        + paragraph(explain_ranking(ranked))
    )


def _evaluation(plan: SweepPlan) -> str:
    episodes = plan.num_episodes * plan.num_agents
    return paragraph(
        f"After training, each agent played {count(plan.num_episodes, 'greedy episode')},"
        f" {episodes:,} in all. The greedy return of an agent is their mean return."
    )


def _comparisons(results: SweepResults, summaries: Sequence[Summary]) -> dict[str, str]:
    """Return a section with a table for each environment that has several settings."""
    rankings = by_env(summaries).values()
    shown = [summary for ranked in rankings for summary in ranked[:_MOST_PAIRED]]
    tables = [_comparison(results.labels, found) for found in comparisons(results, shown)]
    if not tables:
        return {}
    if len(shown) < len(summaries):
        tables.append(
            paragraph(
                f"These are the best {_MOST_PAIRED} settings; summary.json has up to {MOST_PAIRED}."
            )
        )
    return {"Probability of improvement": "\n".join(tables)}


def _comparison(labels: Sequence[str], found: dict[str, Any]) -> str:
    settings = found["settings"]
    rows = [
        [
            f"{i}: {labels[i]}".replace(", ", "\n"),
            *(_pair(found, down, across) for across in range(len(settings))),
        ]
        for down, i in enumerate(settings)
    ]
    return paragraph(
        f"{found['env']}: probability that a seed of the row's setting scores higher than one of"
        " the column's, over all pairs of different seeds, with 95% intervals; ties count one half."
    ) + table(("setting", *(f"than {i}" for i in settings)), rows)


def _pair(found: dict[str, Any], down: int, across: int) -> str:
    if down == across:
        return ""
    cell = Interval(*(found[name][down, across] for name in Interval._fields))
    return "\n".join(show_probability(cell))


def _video(
    sweep_dir: Path, plan: SweepPlan, results: SweepResults, best: Summary, seed: int
) -> str:
    scores = agent_scores(results)[best.setting]
    middle = int(np.argsort(scores, kind="stable")[(len(scores) - 1) // 2])
    row, part = load_agent_slice(sweep_dir, plan, best.setting * plan.num_seeds + middle)
    episode = Episode("episode 1", agent_state(part, row).params, seed)
    return paragraph(
        f"A greedy episode of setting {best.setting} ({best.label}), the best in {best.env}, with"
        f" seed {results.seeds[middle]}, whose score, {show_score(scores[middle])}, is the lower"
        f" median of the setting's {count(best.num_seeds, 'seed')}."
    ) + video(plan.configs[best.setting], episode)


def _timing(sweep_dir: Path, plan: SweepPlan, results: SweepResults) -> dict[str, Any]:
    seconds, agents, slices = 0.0, 0, 0
    for file, part in load_slices(sweep_dir, plan):
        if part is None:
            raise ValueError(f"{file} is damaged; rerun the same sweep command to train it again")
        seconds, agents, slices = seconds + part.seconds, agents + len(part.agents), slices + 1
    if agents != plan.num_agents:
        raise ValueError(
            f"{sweep_dir} lacks the slices of some agents; rerun the same sweep command to train"
            " them"
        )
    steps = int(results.metrics["env_steps"].max(axis=2).sum())
    return {
        "agents": agents,
        "environment steps of all agents": steps,
        "training, compilation and evaluation apart": f"{seconds:,.2f} s",
        "environment steps per second (SPS)": f"{steps / max(seconds, 1e-9):,.0f}",
        "slices, one after the other": slices,
        "compiled programs": len(plan.programs()),
    }


def _swept(plan: SweepPlan, results: SweepResults) -> dict[str, Any]:
    values = {name: ", ".join(short_values(values)) for name, values in plan.axes.items()}
    taken = {"values taken": "together" if plan.zipped else "in all combinations"}
    return {**values, **(taken if len(values) > 1 else {}), "seed": _seeds(results.seeds)}


def _seeds(seeds: Sequence[int]) -> str:
    if list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return f"{len(seeds):,} keys"


def _shared(plan: SweepPlan) -> dict[str, Any]:
    fields = dataclasses.asdict(plan.config)
    return {name: value for name, value in fields.items() if name not in plan.axes}
