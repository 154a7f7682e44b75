"""Speak a text of any length, sentence by sentence, in memory that does not grow with it.

    python egs/stream_long_text.py --model exp/ljspeech_mini/model --text-file book.txt --out book.flac

Each sentence can be heard as soon as it is made; here it is appended to one file. A server would send it on.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile

from tts import Synthesizer

PAUSE_SECONDS = 0.2  # between sentences


def main() -> None:
    """Stream a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--text-file", type=Path, required=True, help="UTF-8")
    parser.add_argument("--out", type=Path, default=Path("long.flac"), help=".wav or .flac")
    parser.add_argument("--vocoder", default="griffin_lim", help="griffin_lim, a vocoder folder or a public checkpoint's name")
    parser.add_argument("--speed", type=float, default=1.0)
    args = parser.parse_args()

    synthesizer = Synthesizer.from_pretrained(args.model, vocoder=args.vocoder)
    rate = synthesizer.audio.sample_rate
    pause = np.zeros(round(PAUSE_SECONDS * rate), np.float32)
    written = 0.0
    with soundfile.SoundFile(args.out, "w", rate, channels=1) as file:
        for number, audio in enumerate(synthesizer.stream(args.text_file.read_text(encoding="utf-8"), speed=args.speed), 1):
            file.write(np.clip(audio.wav, -1, 1))
            file.write(pause)
            written += audio.duration + PAUSE_SECONDS
            print(f"sentence {number}: {audio.duration:.2f} s of speech at {audio.rtf:.2f} × real time")
    print(f"{args.out}: {written:.2f} s")


if __name__ == "__main__":
    main()
