"""Speak every sentence of a data directory with the model of an experiment."""

import argparse
from pathlib import Path

from tts.apps.cli._synthesis import add_synthesis_arguments, synthesis_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis decode`."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--exp", type=Path, metavar="DIR", help="experiment folder; its averaged model speaks")
    where.add_argument("--model", type=Path, metavar="DIR", help="model folder")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="Kaldi directory with text")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets a wave and a feature file an utterance")
    add_synthesis_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Decode the set."""
    from tts.data.kaldi_dir import read_kaldi_dir
    from tts.inference.decode import decode_set
    from tts.inference.synthesizer import Synthesizer

    folder = args.model or args.exp / "averaged"
    synthesizer = Synthesizer.from_pretrained(folder, device=args.device, vocoder=args.vocoder)
    decode_set(synthesizer, read_kaldi_dir(args.data), args.out, seed=args.seed, **synthesis_options(args))
    return 0
