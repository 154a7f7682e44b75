"""How fast models of each size compute: real-time factor by part, and training steps a second; random weights, no download.

    python tools/bench.py

Every figure is CPU time on one thread, so other programs hardly disturb it, the fastest of a few runs; in brackets its ratio
to the reference row of the same run (mini, fp32), which is what to compare between machines and days. The real-time factor
is computing time over speech time; that of the denoisers is the given number of steps times one evaluation of both.
"""

import argparse
import dataclasses
import logging
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import lightning as L
import torch
from torch.utils.data import DataLoader

from tts.data.dataset import Batch
from tts.device import Precision
from tts.nets.blocks import lengths_to_mask
from tts.speech.config import DenoiserKind
from tts.speech.griffin_lim import GriffinLim
from tts.speech.hifigan import PRESETS, HifiGan, vocoder_preset
from tts.speech.model import SourceFilterModel
from tts.training.config import TrainConfig
from tts.training.presets import load_train_config
from tts.training.speech import SpeechTask

N_TOKENS, PHONES_PER_SECOND = 80, 12
RUNS, ENOUGH_SECONDS = 5, 2.0  # a figure is the fastest of 5 runs, or of as many as fill 2 s
SPEECH = {DenoiserKind.unet1d: (2.0, 4), DenoiserKind.unet2d: (0.5, 1)}  # seconds of an utterance, utterances in a batch
PHASE_STEPS = 2  # training steps of each phase


@dataclass(frozen=True)
class Row:
    """One line of a table: its name, what it was measured on, and its figures by column."""

    name: str
    load: str
    figures: dict[str, float]


def fastest(work: Callable[[], object]) -> float:
    """CPU seconds of one run."""
    times: list[float] = []
    while len(times) < RUNS and sum(times) < ENOUGH_SECONDS:
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def random_batch(config: TrainConfig, seconds: float, size: int) -> Batch:
    """Equal utterances of noise."""
    generator = torch.Generator().manual_seed(0)
    frames, phones = round(seconds * config.model.audio.frame_rate), round(seconds * PHONES_PER_SECOND)
    ends = torch.arange(phones + 1) * frames // phones
    mel = torch.randn(size, config.model.audio.n_mels, frames, generator=generator)
    return Batch(
        ids=[str(i) for i in range(size)],
        tokens=torch.randint(1, N_TOKENS, (size, phones), generator=generator),
        token_lengths=torch.full((size,), phones),
        durations=ends.diff().expand(size, -1).clone(),
        mel=mel,
        mel_lengths=torch.full((size,), frames),
        pitch=torch.randn(size, frames, generator=generator),
        f0=torch.full((size, frames), 200.0),
        speakers=["voice"] * size,
        reference=mel,
        reference_lengths=torch.full((size,), frames),
    )


@torch.inference_mode()
def part_factors(config: TrainConfig, seconds: float, steps: int, precision: Precision) -> dict[str, float]:
    """Real-time factor of each part for one utterance, as `Synthesizer` runs them; text without its front end."""
    torch.set_num_threads(1)
    model, one = SourceFilterModel(config.model).eval(), random_batch(config, seconds, 1)
    mask, token_mask = lengths_to_mask(one.mel_lengths), lengths_to_mask(one.token_lengths)
    style, u, t = torch.zeros(1, config.model.style_dim), one.mel, torch.full((1,), 0.5)

    def read() -> torch.Tensor:
        phones = model.text(one.tokens, token_mask)
        model.duration(phones, style, token_mask)
        return model.content(phones, one.durations, mask)

    def foretell(content: torch.Tensor) -> object:
        model.pitch(content, style, mask)
        return model.priors(content, one.pitch, one.f0, mask, source_style=style, filter_style=style)

    with torch.autocast("cpu", torch.bfloat16, enabled=precision == Precision.bf16):
        content = read()
        denoiser = model.composite(foretell(content), mask)
        spent = {"text": fastest(read), "priors": fastest(lambda: foretell(content))}
        spent[f"denoisers, {steps} steps"] = steps * fastest(lambda: denoiser(u, t))
    vocoder = GriffinLim(config.model.audio)
    spent["griffin_lim"] = fastest(lambda: vocoder(one.mel))
    spent["all"] = sum(spent.values())
    return {part: value / seconds for part, value in spent.items()}


@torch.inference_mode()
def vocoder_factors(seconds: float, precision: Precision) -> dict[str, float]:
    """Real-time factor of every HiFi-GAN preset."""
    audio = TrainConfig().model.audio
    mel, spent = torch.randn(1, audio.n_mels, round(seconds * audio.frame_rate)), {}
    for preset in PRESETS:
        vocoder = HifiGan(vocoder_preset(preset, audio)).eval()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == Precision.bf16):
            spent[f"hifigan {preset}"] = fastest(lambda vocoder=vocoder: vocoder(mel)) / seconds
    return spent


class Stamps(L.Callback):
    """CPU time at the start of every training step, and at the end of all."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_start(self, *args: object) -> None:
        """Before each step."""
        self.times.append(time.process_time())

    def on_train_end(self, *args: object) -> None:
        """After the last."""
        self.times.append(time.process_time())


def training_rates(config: TrainConfig, seconds: float, size: int, precision: Precision) -> dict[str, float]:
    """Training steps per CPU second: of the priors, and of the phase with the denoisers."""
    config = dataclasses.replace(config, steps=2 * PHASE_STEPS, prior_steps=PHASE_STEPS, precision=precision, segment_frames=0)
    stamps = Stamps()
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=config.steps,
        precision="bf16-mixed" if precision == Precision.bf16 else "32-true",
        gradient_clip_val=config.optimizer.clip,
        callbacks=[stamps],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    batches = [random_batch(config, seconds, size)] * config.steps
    trainer.fit(SpeechTask(config), DataLoader(batches, batch_size=None))
    spent = [end - start for start, end in zip(stamps.times, stamps.times[1:], strict=False)]
    return {"priors, steps/s": 1 / min(spent[:PHASE_STEPS]), "denoisers, steps/s": 1 / min(spent[PHASE_STEPS:])}


def table(title: str, rows: list[Row]) -> str:
    """Markdown; every figure with its ratio to the first row's."""
    columns, reference = list(rows[0].figures), rows[0].figures
    lines = [f"{title}\n", f"| | speech | {' | '.join(columns)} |", "|---|---|" + "---|" * len(columns)]
    for row in rows:
        cells = " | ".join(f"{row.figures[c]:.3g} ({row.figures[c] / reference[c]:.3g}×)" for c in columns)
        lines.append(f"| {row.name} | {row.load} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--presets", nargs="+", default=["mini", "small"], help="of conf/: %(default)s; the first is the reference"
    )
    parser.add_argument("--steps", type=int, default=8, help="of the diffusion: %(default)s")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, 1 thread\n", flush=True)
    inference, training, vocoders = [], [], []
    for preset in args.presets:
        config = load_train_config(preset, [f"model.n_tokens={N_TOKENS}", "threads=1"])
        seconds, size = SPEECH[config.model.denoiser.kind]
        for precision in (Precision.fp32, Precision.bf16):
            name = f"{preset}, {precision.value}"
            factors = part_factors(config, seconds, args.steps, precision)
            inference.append(Row(name, f"{seconds:g} s", factors))
            training.append(Row(name, f"{size} × {seconds:g} s", training_rates(config, seconds, size, precision)))
    print(table("Real-time factor", inference))
    print(table("Training", training))
    for precision in (Precision.fp32, Precision.bf16):
        vocoders.append(Row(precision.value, "0.5 s", vocoder_factors(0.5, precision)))
    print(table("Real-time factor of HiFi-GAN", vocoders))


if __name__ == "__main__":
    main()
