"""Hear and see what each prior knows: the source alone, the filter alone, and both.

    python egs/mix_priors.py --model exp/ljspeech_mini/model --text "The wind was cold." --out-dir mix

The source prior holds pitch and voicing without words, the filter prior words without melody; their sum is the utterance
before any diffusion. Writes source.wav, filter.wav, both.wav and a PNG of the mel beside each.
"""

import argparse
from pathlib import Path

import torch
from matplotlib.image import imsave

from tts import Synthesizer, write_audio


def main() -> None:
    """Render three mixes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--text", default="The north wind and the sun were disputing which was the stronger.")
    parser.add_argument("--out-dir", type=Path, default=Path("mix"))
    parser.add_argument("--vocoder", default="griffin_lim", help="griffin_lim, a vocoder folder or a public checkpoint's name")
    args = parser.parse_args()

    synthesizer = Synthesizer.from_pretrained(args.model, vocoder=args.vocoder)
    audio = synthesizer.synthesize(args.text, sampler="prior")
    level = synthesizer.loaded.statistics.mel_mean  # the filter prior carries it; the source prior is a difference
    mixes = {
        "source": audio.source_prior + level,
        "filter": audio.filter_prior,
        "both": audio.source_prior + audio.filter_prior,
    }
    args.out_dir.mkdir(parents=True, exist_ok=True)
    low, high = mixes["both"].min(), mixes["both"].max()
    for name, mel in mixes.items():
        wav = synthesizer.vocoder(torch.from_numpy(mel)[None].to(synthesizer.device))[0]
        write_audio(args.out_dir / f"{name}.wav", wav, synthesizer.audio.sample_rate, normalize=True)
        imsave(args.out_dir / f"{name}.png", mel, origin="lower", cmap="magma", vmin=low, vmax=high)
        print(f"{args.out_dir / name}.wav and .png: ln mel from {mel.min():.1f} to {mel.max():.1f}")


if __name__ == "__main__":
    main()
