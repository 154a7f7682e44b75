"""Convert a recording into another voice, and hear what each half of the swap does.

    python egs/convert_voice.py --model exp/arctic_mini --source a.wav --target b.wav --out-dir converted

Writes four waves with the source's words: `both` attributes from the target; `filter` only, so pitch and phonation stay the
source's; `source` only, so the vocal tract does; and `halfway`, a voice between the two.
"""

import argparse
from pathlib import Path

from tts import VoiceConverter
from tts.inference.attributes import mix


def main() -> None:
    """Swap attributes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model folder with an audio entrance")
    parser.add_argument("--source", type=Path, required=True, help="recording of the words")
    parser.add_argument("--target", required=True, help="speaker's name, or a recording of the voice")
    parser.add_argument("--out-dir", type=Path, default=Path(), help="gets the waves")
    parser.add_argument("--vocoder", default="griffin_lim", help="griffin_lim, a vocoder folder or a public checkpoint's name")
    args = parser.parse_args()

    converter = VoiceConverter.from_pretrained(args.model, vocoder=args.vocoder)
    words = converter.encode(args.source)  # content, pitch and the speaker's own styles
    own, target = words.source, converter.voices.find(args.target)
    between = mix(own, target, 0.5)
    versions = {
        "both": words.with_source(target).with_filter(target),
        "filter": words.with_filter(target),
        "source": words.with_source(target),
        "halfway": words.with_source(between).with_filter(between),
    }
    args.out_dir.mkdir(parents=True, exist_ok=True)
    for name, attributes in versions.items():
        audio = converter.render(attributes, seed=0)
        audio.save(args.out_dir / f"{name}.wav")
        voiced = audio.f0[audio.f0 > 0]
        pitch = f"F0 around {voiced.mean():.0f} Hz" if len(voiced) else "unvoiced"
        print(f"{args.out_dir / name}.wav: {audio.duration:.2f} s, {pitch}")


if __name__ == "__main__":
    main()
