"""Every method on one base, trained and scored: one table of methods and seeds."""

import dataclasses
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tts.data.files import read_json, write_json, write_text
from tts.device import resolve_device
from tts.image.clip_guided import ClipGuided
from tts.image.datasets import ImageSet, open_images
from tts.image.guided import GuidedModel
from tts.image.registry import MODELS
from tts.image.usage import CodeIgnored
from tts.inference.image_baselines import BASELINES
from tts.inference.image_evaluation import EvaluationSettings, evaluate_baselines, evaluate_image_model, fast_settings
from tts.inference.image_folder import load_image_folder
from tts.inference.image_model import ImageModel
from tts.inference.whole_folder import PACKED
from tts.metrics.learners import Trees
from tts.training.image_benchmark_table import benchmark_table
from tts.training.image_config import ImageTrainConfig, load_image_config
from tts.training.image_parts import Parts, check_networks
from tts.training.image_prior import PriorTraining, train_latent_prior
from tts.training.image_run import train_image_model

logger = logging.getLogger(__name__)

DIFFUSION = ("encdiff", "diffae", "infodiffusion", "pdae", "disdiff", "clip_guided")
VAES = ("vae", "betavae", "annealedvae", "factorvae", "tcvae", "infovae", "dipvae", "guidedvae", "deformablevae")
TOLD_FACTORS, TOLD_LABELS = ("clip_guided",), ("guidedvae",)  # what learns from more than the images
PROBE_STEPS = 100
FAST_PRIOR = {"steps": 60, "n_codes": 256}
FAST = ("steps=60", "batch_size=16", "optimizer.warmup=10")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What is compared.

    data, size: the images.
    methods: kinds of `tts.image.registry`, with presets METHOD_PROFILE; a variant has settings of its own after a colon, as in
        "disdiff:model.factor_loss.weight=0", commas between several. None are `every_method` of the data.
    seeds: of each method.
    minutes: CPU minutes that each method may train, its base aside; 0 is the steps of its preset.
    sampling_steps, images, samples: of the reconstructions and samples that are measured.
    trees: of DCI; the table says which. Exact ones, as published, take ten minutes a row.
    overrides: settings for all methods, such as "threads=1".
    fast: a few steps and small measurements: to be compared with nothing.
    """

    data: str = "shapes"
    size: int = 32
    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    profile: str = "mini"
    minutes: float = 0.0
    sampling_steps: int = 50
    images: int = 64
    samples: int = 400
    trees: Trees = Trees.HISTOGRAM
    overrides: tuple[str, ...] = ()
    fast: bool = False

    def config(self, method: str, *overrides: str) -> ImageTrainConfig:
        """The run of a method or variant.

        Raises:
            ConfigError: if there is no such preset or key.
        """
        kind, _, own = method.partition(":")
        fast = FAST if self.fast else ()
        settings = [f"size={self.size}", *fast, *self.overrides, *filter(None, own.split(",")), *overrides]
        return dataclasses.replace(load_image_config(f"{kind}_{self.profile}", settings), data=self.data)

    def settings(self, seed: int) -> EvaluationSettings:
        """What is measured of a row."""
        if self.fast:
            return fast_settings(seed)
        return EvaluationSettings(images=self.images, samples=self.samples, trees=self.trees, seed=seed)


def every_method(images: ImageSet) -> tuple[str, ...]:
    """All methods but those that must be told what is not known of these images."""
    unknown = [*(TOLD_FACTORS if images.factors is None else ()), *(() if images.label_names else TOLD_LABELS)]
    return tuple(method for method in (*DIFFUSION, *VAES) if method not in unknown)


def run_benchmark(benchmark: Benchmark, out: Path, device: str = "auto") -> str:
    """Train and score every method with every seed; the table, which is also in `out`/RESULTS.md after each row.

    The base that guided methods share has a row, too, and for each seed a random encoder, PCA and real images; the image-text
    encoder of CLIP-guided DisDiff has none. A row that is there is not made again, and a training that was killed goes on; with
    other settings give another folder.

    Raises:
        ConfigError, DataError, ModelError: as the trainings.
    """
    if not benchmark.methods:
        benchmark = dataclasses.replace(benchmark, methods=every_method(open_images(benchmark.data, size=benchmark.size)))
    configs = {method: benchmark.config(method) for method in benchmark.methods}
    kinds = {method: MODELS[config.model.kind].model for method, config in configs.items()}
    for method, config in configs.items():
        check_networks(method, config.model, benchmark.size)
    base = encoder = None
    if any(issubclass(kind, GuidedModel) for kind in kinds.values()):
        base = train_image_model(benchmark.config("ddpm", f"device={device}"), out / "base")
        _keep(benchmark, out, "ddpm", 0, partial(_scored, benchmark, "ddpm", out / "base", 0, device))
    if any(issubclass(kind, ClipGuided) for kind in kinds.values()):
        encoder = train_image_model(benchmark.config("contrastive", f"device={device}"), out / "encoder")
    for seed in benchmark.seeds:
        _keep(benchmark, out, "baselines", seed, partial(_baselines, benchmark, seed))
        for method, kind in kinds.items():
            parts = Parts(
                base=base if issubclass(kind, GuidedModel) else None, encoder=encoder if issubclass(kind, ClipGuided) else None
            )
            made = partial(_trained_and_scored, benchmark, method, seed, out, parts, device)
            _keep(benchmark, out, method, seed, made)
    return _table(out, benchmark)


def _keep(benchmark: Benchmark, out: Path, name: str, seed: int, make: Callable[[], dict[str, Any]]) -> None:
    """Make a row unless it is there, and the table anew."""
    row = out / "rows" / f"{slug(name)}-seed{seed}.json"
    if row.exists():
        logger.info("%s, seed %d: done before", name, seed)
        return
    write_json(row, make())
    write_text(out / "RESULTS.md", _table(out, benchmark))


def _baselines(benchmark: Benchmark, seed: int) -> dict[str, Any]:
    """The rows of a random encoder, of PCA and of real images."""
    images = open_images(benchmark.data, size=benchmark.size)
    return {"systems": evaluate_baselines(images, benchmark.settings(seed)), "conditions": []}


def slug(method: str) -> str:
    """The name of a variant as that of a file."""
    return re.sub(r"[^\w.+-]+", "-", method)


def _trained_and_scored(benchmark: Benchmark, method: str, seed: int, out: Path, parts: Parts, device: str) -> dict[str, Any]:
    """The row of one method and seed."""
    overrides = [f"seed={seed}", f"device={device}"]
    if benchmark.minutes:
        overrides.append(f"steps={_steps(benchmark, method, out, parts, device)}")
    config = benchmark.config(method, *overrides)
    exp = out / f"{slug(method)}-seed{seed}"
    remarks: list[str] = []
    try:
        folder = train_image_model(config, exp, parts=parts)
    except CodeIgnored as err:  # a row like others: what comes of it is seen in its figures
        folder, remarks = exp / PACKED, [f"{method}, seed {seed}: the code is ignored"]
        logger.warning("%s, seed %d: %s", method, seed, err)
    if config.model.n_units:
        prior = PriorTraining(seed=seed, threads=config.threads, **(FAST_PRIOR if benchmark.fast else {}))
        train_latent_prior(prior, folder, device=device)
    row = _scored(benchmark, method, folder, seed, device)
    return row | {"conditions": [*row["conditions"], *remarks]}


def _scored(benchmark: Benchmark, method: str, folder: Path, seed: int, device: str) -> dict[str, Any]:
    """The figures of the model in a folder, under the name of its method."""
    loaded = load_image_folder(folder)
    model, trained = ImageModel(loaded, resolve_device(device)), loaded.trained
    options = {"steps": benchmark.sampling_steps} if model.is_diffusion else {}
    images = open_images(benchmark.data, size=benchmark.size)
    found = evaluate_image_model(model, images, benchmark.settings(seed), baselines=False, **options)
    figures = found["systems"][model.config.kind.value] | {
        "seconds_per_step": trained.cpu_seconds / max(trained.steps, 1),
        "cpu_minutes": trained.cpu_seconds / 60,
        "parameters": sum(p.numel() for p in model.model.parameters()),
    }
    return {"systems": {method: figures}, "conditions": found["conditions"]}


def _steps(benchmark: Benchmark, method: str, out: Path, parts: Parts, device: str) -> int:
    """The steps that fit into the minutes, from the CPU time of a short run; found once for all seeds."""
    path = out / "steps" / f"{slug(method)}.json"
    if not path.exists():
        probe = benchmark.config(method, f"device={device}", f"steps={PROBE_STEPS}", f"figures_every={10 * PROBE_STEPS}")
        folder = train_image_model(probe, out / "steps" / slug(method), parts=parts)
        seconds = load_image_folder(folder).trained.cpu_seconds / PROBE_STEPS
        write_json(path, {"seconds_per_step": seconds, "steps": max(1, round(benchmark.minutes * 60 / seconds))})
    return int(read_json(path)["steps"])


def _table(out: Path, benchmark: Benchmark) -> str:
    budget = f"{benchmark.minutes:g} CPU minutes each" if benchmark.minutes else "the steps of the presets"
    setting = f"{benchmark.data}, {benchmark.size} pixels, profile {benchmark.profile}, {budget}"
    return benchmark_table(out / "rows", (*BASELINES, "ddpm", *benchmark.methods), setting)
