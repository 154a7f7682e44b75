"""All experiments by one command: rows are made once, trainings go on, a table after every row."""

import importlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tts.config import to_dict
from tts.data.files import read_json, write_json, write_text
from tts.errors import ConfigError
from tts.training.experiments.context import Context
from tts.training.experiments.expectations import Expectation, Outcome, experiment_table, outcome_dict, outcome_from
from tts.training.experiments.plots import Plot, draw_plots
from tts.training.experiments.sizes import FAST, Sizes

logger = logging.getLogger(__name__)

MODULES = {
    "E0": "e0_base",
    "E1": "e1_asyrp",
    "E2": "e2_isometric",
    "E3": "e3_subspace",
    "E4": "e4_guidance",
    "E5": "e5_hae",
    "E6": "e6_denoising_groups",
    "E7": "e7_extras",
}
SETTINGS = "experiments.json"


@dataclass(frozen=True)
class Experiment:
    """One experiment: what its module defines.

    title: heading of its table.
    expectations: rows of its table.
    plots: its pictures.
    run: (context, seed) -> outcome.
    """

    name: str
    title: str
    expectations: Sequence[Expectation]
    plots: Sequence[Plot]
    run: Callable[[Context, int], Outcome]


def experiment(name: str) -> Experiment:
    """The experiment of a name, E0 to E7.

    Raises:
        ConfigError: if there is none.
    """
    if name not in MODULES:
        raise ConfigError(f"no experiment {name!r}. Known: {', '.join(MODULES)}.")
    module = importlib.import_module(f"tts.training.experiments.{MODULES[name]}")
    return Experiment(name, f"{name} {module.TITLE}", module.EXPECTATIONS, module.PLOTS, module.run)


def run_experiments(
    out: Path, only: Sequence[str] = (), seeds: Sequence[int] = (0, 1, 2), *, threads: int = 2, fast: bool = False
) -> str:
    """Run experiments with every seed; their tables, which are also in `out`/RESULTS.md after each row.

    A row that is there is not made again, a training of a model that was killed goes on from its checkpoint, a small network
    that is done is read. With other sizes give another folder.

    Args:
        out: gets RESULTS.md, rows/, plots/, models/ and parts/.
        only: names; none is all.
        seeds: of each.
        threads: of the processor; two calls of one each may work on different experiments in one folder.
        fast: tiny models and measurements, to see it work: to be compared with nothing.

    Raises:
        ConfigError: if there is no such experiment, or `out` holds experiments of other sizes.
        DataError, ModelError: as the trainings.
    """
    chosen = [experiment(name) for name in only or MODULES]
    sizes = FAST if fast else Sizes()
    _claim(out, sizes)
    torch.set_num_threads(threads)
    context = Context(out, sizes, threads)
    for each in chosen:
        for seed in seeds:
            row = _row(out, each.name, seed)
            if row.exists():
                logger.info("%s, seed %d: done before", each.name, seed)
                continue
            began, wall_began = time.process_time(), time.monotonic()
            outcome = each.run(context, seed)
            cost = {"cpu_minutes": (time.process_time() - began) / 60, "minutes": (time.monotonic() - wall_began) / 60}
            write_json(row, outcome_dict(outcome) | cost)
            write_text(out / "RESULTS.md", all_tables(out))
    return all_tables(out)


def all_tables(out: Path) -> str:
    """The tables of all rows that are there, whatever run made them; their plots are drawn."""
    found = read_json(out / SETTINGS)
    head = f"{found['data']}, {found['size']} pixels; base models of {found['base_steps']} steps; all sizes in {SETTINGS}."
    if found == to_dict(FAST):
        head = f"**A fast run, to be compared with nothing.** {head}"
    return "\n".join([f"{head}\n", *(table for name in MODULES if (table := _table(out, experiment(name))))])


def _table(out: Path, each: Experiment) -> str:
    values = {int(path.stem.partition("-seed")[2]): read_json(path) for path in (out / "rows").glob(f"{each.name}-seed*.json")}
    if not values:
        return ""
    outcomes = {seed: outcome_from(row) for seed, row in sorted(values.items())}
    figures = {seed: outcome.figures for seed, outcome in outcomes.items()}
    minutes = sum(row["cpu_minutes"] for row in values.values())
    table = experiment_table(each.title, each.expectations, figures, minutes)
    pictures = draw_plots(each.plots, outcomes, out / "plots", each.name)
    return "\n".join([table, *(f"![{name}](plots/{name})" for name in pictures), ""])


def _row(out: Path, name: str, seed: int) -> Path:
    return out / "rows" / f"{name}-seed{seed}.json"


def _claim(out: Path, sizes: Sizes) -> None:
    """Write down the sizes of a new folder, compare those of an old one."""
    path, mine = out / SETTINGS, to_dict(sizes)
    if not path.exists():
        write_json(path, mine)
        return
    found = read_json(path)
    differing = [f"{key}: {found.get(key)} there, {value} here" for key, value in mine.items() if found.get(key) != value]
    if differing:
        raise ConfigError(f"{path}: made with other sizes ({'; '.join(differing[:5])}). Give another folder.")
