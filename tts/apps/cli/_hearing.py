"""What the verbs that evaluate have in common: the ear, and the command printed beside the figures."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tts.metrics.asr import NotMeasured, Recognizer


def add_hearing_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --asr, --no-asr and --command."""
    hearing = parser.add_mutually_exclusive_group()
    hearing.add_argument("--asr", metavar="NAME", help="faster-whisper model: a folder or a name; default: the installed one")
    hearing.add_argument("--no-asr", action="store_true", help="leave word error rates out")
    parser.add_argument("--command", metavar="TEXT", help="the command to print beside the figures; default: this one")


def find_ear(args: argparse.Namespace) -> "Recognizer | NotMeasured":
    """The recogniser that the options ask for."""
    from tts.metrics.asr import NotMeasured, find_recognizer

    return NotMeasured("--no-asr was given.") if args.no_asr else find_recognizer(args.asr)


def hearing_words(args: argparse.Namespace) -> list[str]:
    """The options that ask for this ear again."""
    return ["--asr", args.asr] if args.asr else ["--no-asr"] if args.no_asr else []
