"""Train a HiFi-GAN vocoder on the recordings behind a features folder."""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis train-vocoder`."""
    parser.add_argument("--features", type=Path, required=True, metavar="DIR", help="features folder; its mel is the vocoder's")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets the vocoder, last.ckpt and TensorBoard")
    parser.add_argument("--preset", choices=("v1", "light"), default="light", help="generator: 13.9 M or 1.5 M parameters")
    parser.add_argument("--steps", type=int, default=100_000, help="train until this step")
    parser.add_argument("--batch", type=int, default=16, help="segments in a batch")
    parser.add_argument("--segment", type=int, metavar="SAMPLES", help="length of a segment; default: 32 frames")
    parser.add_argument("--lr", type=float, default=2e-4, help="learning rate")
    parser.add_argument("--checkpoint-every", type=int, default=1000, metavar="STEPS", help="save and export this often")
    parser.add_argument("--resume", choices=("auto", "never"), default="auto", help="go on with the run in --out, or refuse it")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto", help="arithmetic")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--workers", type=int, default=0, help="processes that read data; 0 = this one")
    parser.add_argument("--seed", type=int, default=0, help="of the data order")


def run(args: argparse.Namespace) -> int:
    """Train to the last step."""
    from tts.data.manifest import read_audio_config
    from tts.speech.hifigan import vocoder_preset
    from tts.training.vocoder import VocoderTrainConfig, train_vocoder

    audio = read_audio_config(args.features)
    config = VocoderTrainConfig(
        vocoder=vocoder_preset(args.preset, audio),
        steps=args.steps,
        batch_size=args.batch,
        segment_samples=32 * audio.hop_length if args.segment is None else args.segment,
        lr=args.lr,
        checkpoint_every=args.checkpoint_every,
        device=args.device,
        precision=args.precision,
        threads=args.threads,
        workers=args.workers,
        seed=args.seed,
    )
    out = train_vocoder(config, args.features, args.out, resume=args.resume)
    logger.info("trained %d steps: %s", config.steps, out)
    return 0
