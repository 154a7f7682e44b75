"""Train an F0 VQ-VAE on a features folder."""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis train-pitch`."""
    parser.add_argument("--features", type=Path, required=True, metavar="DIR", help="training set with its statistics")
    parser.add_argument("--dev", type=Path, required=True, metavar="DIR", help="utterances to score, of the same speakers")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets the F0 VQ-VAE, last.ckpt and TensorBoard")
    parser.add_argument("--codes", type=int, default=20, help="codes of the codebook")
    parser.add_argument("--steps", type=int, default=10_000, help="train until this step")
    parser.add_argument("--batch", type=int, default=16, help="segments in a batch")
    parser.add_argument("--segment", type=int, default=64, metavar="FRAMES", help="length of a segment, in mel frames")
    parser.add_argument("--lr", type=float, default=2e-4, help="learning rate")
    parser.add_argument("--checkpoint-every", type=int, default=500, metavar="STEPS", help="save and score this often")
    parser.add_argument("--resume", choices=("auto", "never"), default="auto", help="go on with the run in --out, or refuse it")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--workers", type=int, default=0, help="processes that read data; 0 = this one")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights, the data order and the codebook")


def run(args: argparse.Namespace) -> int:
    """Train to the last step."""
    from tts.data.manifest import read_audio_config
    from tts.speech.config import F0VqVaeConfig
    from tts.training.f0_vqvae import PitchTrainConfig, train_f0_vqvae

    config = PitchTrainConfig(
        model=F0VqVaeConfig(n_codes=args.codes, frame_rate=read_audio_config(args.features).frame_rate),
        steps=args.steps,
        batch_size=args.batch,
        segment_frames=args.segment,
        lr=args.lr,
        checkpoint_every=args.checkpoint_every,
        device=args.device,
        threads=args.threads,
        workers=args.workers,
        seed=args.seed,
    )
    out = train_f0_vqvae(config, args.features, args.dev, args.out, resume=args.resume)
    logger.info("trained %d steps: %s", config.steps, out)
    return 0
