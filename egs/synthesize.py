"""Speak a text and draw what the model did: source prior, filter prior, their diffusion into speech, and F0.

    python egs/synthesize.py --model exp/ljspeech_mini/model --text "The wind was cold." --out wind.wav

writes wind.wav and wind.png.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tts import Synthesizer


def main() -> None:
    """Speak and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--text", default="The north wind and the sun were disputing which was the stronger.")
    parser.add_argument("--out", type=Path, default=Path("speech.wav"))
    parser.add_argument("--vocoder", default="griffin_lim", help="griffin_lim, a vocoder folder or a public checkpoint's name")
    parser.add_argument("--steps", type=int, default=8, help="of the diffusion")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    synthesizer = Synthesizer.from_pretrained(args.model, vocoder=args.vocoder)
    audio = synthesizer.synthesize(args.text, steps=args.steps, seed=args.seed)
    audio.save(args.out)
    draw(audio).savefig(args.out.with_suffix(".png"), dpi=120)
    parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in audio.seconds.items())
    print(f"{args.out}: {audio.duration:.2f} s of speech at {audio.rtf:.2f} × real time ({parts}), vocoder {audio.vocoder}")


def draw(audio) -> Figure:
    """Both priors, their sum, the mel after diffusion with its phones, and F0 under them."""
    rows = {
        "source prior": audio.source_prior,
        "filter prior": audio.filter_prior,
        "source + filter": audio.source_prior + audio.filter_prior,
        "after diffusion": audio.mel,
    }
    figure = Figure(figsize=(10, 10), layout="constrained")
    axes = figure.subplots(len(rows) + 1, 1, sharex=True)
    for axis, (name, mel) in zip(axes, rows.items(), strict=False):
        figure.colorbar(axis.imshow(mel, origin="lower", aspect="auto", interpolation="none"), ax=axis, pad=0.01)
        axis.set_ylabel(name)
    ends = np.cumsum(audio.durations)
    for phone, end, length in zip(audio.phones, ends, audio.durations, strict=True):
        axes[3].text(end - length / 2, 81, phone, ha="center", fontsize=7)
    axes[-1].plot(np.where(audio.f0 > 0, audio.f0, np.nan))
    axes[-1].set(ylabel="F0 (Hz)", xlabel="mel frame")
    return figure


if __name__ == "__main__":
    main()
