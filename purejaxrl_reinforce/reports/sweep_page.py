"""Page of a sweep: ranking, learning curves, final returns, video."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.decisions import ranking
from purejaxrl_reinforce.decisions.ranking import Ranking, Summary
from purejaxrl_reinforce.execution.machine import in_words
from purejaxrl_reinforce.figures.style import png_bytes
from purejaxrl_reinforce.output.html import facts, page, paragraph, picture
from purejaxrl_reinforce.output.text import count, short_values
from purejaxrl_reinforce.reports.description import describe
from purejaxrl_reinforce.reports.run_page import video_of
from purejaxrl_reinforce.sweeps import outputs, store, studies, summary
from purejaxrl_reinforce.sweeps.results import SweepResults, load_sweep

# More are not read.
_MOST_SEEDS = 20


def sweep_page(sweep_dir: Path, seed: int) -> str:
    """Return the HTML page of a sweep; its video uses the seed.

    Raises:
        ValueError: it is not a sweep directory, or a file in it is missing or damaged.
    """
    sweep = store.saved_sweep(sweep_dir)
    results = load_sweep(sweep_dir)
    rankings = summary.rank(results)
    best = [ranked.summaries[0] for ranked in rankings]
    confirmed = map(studies.explain_confirmed, results.confirmed)
    starts = [sweep.started, *sweep.started.get("continued", [])]
    agents, fields = count(results.num_trained, "agent"), asdict(results.configs[0])
    return page(
        f"{' and '.join(ranked.env for ranked in rankings)}: a sweep with REINFORCE, {agents}",
        {
            "Summary": facts(_overview(results, best)),
            "Settings": "\n".join([*map(_ranking, rankings), *map(paragraph, confirmed)]),
            "Figures": _figures(results, rankings),
            "Video": "\n".join(_video(results, one, seed) for one in best),
            "Swept fields": facts(_swept(results)),
            "Shared fields": facts({x: y for x, y in fields.items() if x not in results.axes}),
            "Best setting": "\n".join(facts(describe(results.configs[s.setting])) for s in best),
            "Machine": "\n".join(facts(in_words(start)) for start in starts),
        },
    )


def _figures(results: SweepResults, rankings: Sequence[Ranking]) -> str:
    episodes = results.evaluation.shape[2]
    text = (
        f"After training, each agent played {count(episodes, 'greedy episode')},"
        f" {episodes * results.num_trained:,} in all. The greedy return of an agent is their mean."
    )
    figures = outputs.sweep_figures(results, rankings, "phone").items()
    pictures = (
        picture(png_bytes(figure), "png", f"Figure of the sweep: {name.replace('_', ' ')}.")
        for name, figure in figures
    )
    return paragraph(text) + "\n".join(pictures)


def _overview(results: SweepResults, best: Sequence[Summary]) -> dict[str, Any]:
    seconds, steps = float(results.seconds.sum()), results.metrics["env_steps"].max(axis=2).sum()
    scores, seeds = summary.scores_of_settings(results), results.trained.sum(axis=1)
    return {
        "settings": len(results.configs),
        "seeds of each": " to ".join(dict.fromkeys(f"{n}" for n in (seeds.min(), seeds.max()))),
        "agents": results.num_trained,
        "agents that diverged": int(np.isinf(np.concatenate(scores)).sum()),
        **{f"best setting in {s.env}": f"{s.setting}: {s.label}" for s in best},
        "environment steps of all agents": int(steps),
        "training, excluding compilation and evaluation": f"{seconds:,.2f} s",
        "environment steps per second (SPS)": f"{steps / max(seconds, 1e-9):,.0f}",
    }


def _ranking(ranked: Ranking) -> str:
    texts = [ranking.explain_ranking(ranked), *ranking.explain_looks(ranked)]
    return ranking.ranking_html(ranked) + "".join(map(paragraph, texts))


def _video(results: SweepResults, best: Summary, seed: int) -> str:
    scores = summary.scores_of_settings(results)[best.setting]
    middle = int(np.argsort(scores, kind="stable")[(len(scores) - 1) // 2])
    middle_seed = results.seeds_of(best.setting)[middle]
    params = results.params(best.setting, middle_seed)
    return paragraph(
        f"A greedy episode of setting {best.setting} ({best.label}), the best in {best.env}, with"
        f" seed {middle_seed}, whose score, {ranking.show_score(scores[middle])}, is"
        f" the lower median of the setting's {count(best.num_seeds, 'seed')}."
    ) + video_of(results.configs[best.setting], params, seed)


def _swept(results: SweepResults) -> dict[str, Any]:
    seeds = results.seeds
    shown = ", ".join(map(str, seeds)) if len(seeds) <= _MOST_SEEDS else count(len(seeds), "seed")
    values = {name: ", ".join(short_values(values)) for name, values in results.axes.items()}
    return {**values, "seed": shown}
