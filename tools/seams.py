"""What a seam of a long conversion sounds like: jumps of the mel at the seams and elsewhere, the memory and the time it took.

    python tools/seams.py --model exp/a/packed/a --wav long.wav --target slt --out converted.wav

A jump is taken between two neighbouring frames of the converted wave: in the spectrum, the mean over bands of the absolute
change of the log mel; in level, the absolute change of its mean over bands. A seam is all frames of its cross-fade. If seams
cannot be heard, their jumps are those of the rest.
"""

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tts.audio.io import read_audio
from tts.audio.mel import MelExtractor
from tts.inference.chunks import ChunkPlan
from tts.inference.convert_files import convert_file
from tts.inference.converter import CHUNK_SECONDS, VoiceConverter

WARM_UP_SECONDS = 2.0
PERCENTILE = 95


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="model folder that converts")
    parser.add_argument("--wav", type=Path, required=True, help="long recording")
    parser.add_argument("--target", required=True, help="speaker's name or recording")
    parser.add_argument("--out", type=Path, required=True, help="converted recording")
    parser.add_argument("--device", default="auto")
    return parser.parse_args(words)


def jumps(mel: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """`spectrum` and `level`, (T - 1,) each, of a log mel (n_mels, T): entry n is the change from frame n to n + 1."""
    return {"spectrum": np.abs(np.diff(mel)).mean(axis=0), "level": np.abs(np.diff(mel.mean(axis=0)))}


def at_seams(n_frames: int, plan: ChunkPlan) -> NDArray[np.bool_]:
    """Which changes from frame n to n + 1 lie in the cross-fade of a seam, (n_frames - 1,)."""
    found = np.zeros(n_frames - 1, dtype=bool)
    for window in plan.windows(n_frames)[1:]:
        found[window.start - plan.fade // 2 - 1 : window.start + plan.fade // 2] = True
    return found


def peak_megabytes() -> float:
    """The most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(words: Sequence[str] | None = None) -> str:
    """Convert, measure; the table and a line on memory and time."""
    args = arguments(words)
    converter = VoiceConverter.from_pretrained(args.model, device=args.device)
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, round(WARM_UP_SECONDS * converter.audio.sample_rate))
    converter.convert(noise.astype(np.float32), args.target)
    before, start = peak_megabytes(), time.perf_counter()
    seconds = convert_file(converter, args.wav, args.out, args.target)
    took, grown = time.perf_counter() - start, peak_megabytes() - before
    wav, _ = read_audio(args.out, converter.audio.sample_rate)
    mel = MelExtractor(converter.audio)(torch.from_numpy(wav)[None])[0].numpy()
    seams = at_seams(mel.shape[1], ChunkPlan.of_seconds(CHUNK_SECONDS, converter.audio))
    lines = [f"| jump, natural log | mean | {PERCENTILE} % |", "|---|---|---|"]
    for name, values in jumps(mel).items():
        for where, part in (("at seams", values[seams]), ("elsewhere", values[~seams])):
            if len(part):
                lines.append(f"| {name}, {where} | {part.mean():.3f} | {np.percentile(part, PERCENTILE):.3f} |")
    lines += ["", f"{seconds:.0f} s converted in {took:.0f} s, {grown:.0f} MiB above the loaded model."]
    return "\n".join(lines)


if __name__ == "__main__":
    print(main())
