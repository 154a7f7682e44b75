"""Options that every speaking or converting verb shares."""

import argparse
from typing import Any

SAMPLING = ("sampler", "steps", "grid", "temperature", "start", "anchor")


def add_synthesis_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare vocoder, sampling and prosody options."""
    add_sampling_arguments(parser)
    parser.add_argument("--speed", type=float, default=1.0, help="above 1 is faster, 0.25 to 4")
    parser.add_argument("--pitch-shift", type=float, default=0.0, metavar="SEMITONES", help="-24 to 24")


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare vocoder, device, sampling options and seed; sampling options left out are the model's own."""
    parser.add_argument("--vocoder", default="griffin_lim", help="griffin_lim, a vocoder folder, or a public checkpoint's name")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--sampler", help="dpmpp_2m, ddim, heun, ancestral, euler_maruyama, or prior for no diffusion")
    parser.add_argument("--steps", type=int, help="steps of the reverse diffusion, 1 to 1000")
    parser.add_argument("--grid", help="where the steps lie: uniform, quadratic or log_snr")
    parser.add_argument("--temperature", type=float, help="scale of the noise, 0 to 2")
    parser.add_argument("--start", type=float, help="time at which the reverse diffusion starts, above 0 to 1")
    parser.add_argument("--anchor", type=float, help="how far the smooth part of the mel is held at the priors', 0 to 1")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")


def synthesis_options(args: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `Synthesizer.synthesize` that were given."""
    return sampling_options(args) | {"speed": args.speed, "pitch_shift": args.pitch_shift}


def sampling_options(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of SamplingOptions that were given."""
    return {name: getattr(args, name) for name in SAMPLING if getattr(args, name) is not None}
