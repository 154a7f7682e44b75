"""Options that every converting verb shares."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tts.apps.cli._synthesis import add_sampling_arguments, sampling_options

if TYPE_CHECKING:
    from tts.inference.converter import VoiceConverter


def add_conversion_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare whose attributes are taken, what becomes of F0, the vocoder and the sampling options."""
    whose = "target, source, a speaker's name or a recording"
    parser.add_argument("--source-style", default="target", metavar="VOICE", help=f"whose pitch range and phonation: {whose}")
    parser.add_argument("--filter-style", default="target", metavar="VOICE", help=f"whose vocal tract: {whose}")
    parser.add_argument(
        "--pitch",
        default="transpose",
        help="transpose (to the mean and deviation of the voice of --source-style), keep (in Hz), or semitones to move F0 by",
    )
    parser.add_argument("--blend", nargs=2, metavar=("VOICE", "WEIGHT"), help="a second target and its weight, 0 to 1")
    parser.add_argument("--content", default="", metavar="DIR", help="self-supervised network, for a model that hears with one")
    add_sampling_arguments(parser)


def conversion_options(args: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `VoiceConverter.convert` that were given."""
    options = {"source_style": args.source_style, "filter_style": args.filter_style, "pitch": _number_or_word(args.pitch)}
    if args.blend is not None:
        options["blend"] = (args.blend[0], _number("--blend", args.blend[1]))
    return options | sampling_options(args)


def load_converter(args: argparse.Namespace) -> "VoiceConverter":
    """The converter of `--model`."""
    from tts.inference.converter import VoiceConverter

    return VoiceConverter.from_pretrained(args.model, device=args.device, vocoder=args.vocoder, content=args.content)


def voice_arguments(words: list[str] | None) -> str | list[Path] | None:
    """A speaker's name or a recording; several recordings; or nothing."""
    if not words:
        return None
    return words[0] if len(words) == 1 else [Path(word) for word in words]


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as err:
        raise ValueError(f"{option}: {text!r} is no number. Give a weight from 0 to 1.") from err
