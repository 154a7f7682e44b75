"""See what subspaces leave out of images, and what a model that begins in one loses of their likelihood.

    python egs/image_subspaces.py --model exp/shapes_ddpm_mini --pooled exp/shapes_pooled

Prints the root mean square of what pooling by 2 and as many principal components leave out of images, and bits for each number
of an image by the model alone and through the pooled one. Principal components leave out less, but no convolutional network
reads them.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch

from tts.image.datasets import open_images
from tts.image.subspace.complement import measure_complement
from tts.image.subspace.projections import AveragePool, principal_components
from tts.inference.image_model import ImageModel

STEP = 2 / 255  # of eight bits in [-1, 1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a ddpm")
    parser.add_argument("--pooled", type=Path, required=True, help="folder of a ddpm trained with pool=1 on the same images")
    parser.add_argument("--images", type=int, default=1000, help="images that the subspaces are measured on")
    parser.add_argument("--scored", type=int, default=16, help="images whose likelihood is taken")
    parser.add_argument("--switch-time", type=float, default=0.5, help="above it the pooled model is at work")
    parser.add_argument("--steps", type=int, default=50)
    args = parser.parse_args()

    model, pooled = (ImageModel.from_pretrained(folder, "cpu") for folder in (args.model, args.pooled))
    data = open_images(model.loaded.trained.data, size=model.config.size, channels=model.config.channels)
    pixels = data.images(np.random.default_rng(0).choice(len(data), min(args.images, len(data)), replace=False))
    x, pool = model.tensor(pixels), AveragePool(1)
    n = pool.down(x[:1]).numel()
    left = {"pooling": pool, "principal components": principal_components(x, min(n, len(x) - 1))}
    for name, projection in left.items():
        kept = projection.down(x[:1]).numel()
        std = measure_complement([x], projection).std
        print(f"{name}, {kept} of {x[0].numel()} dimensions: {std:.4f} left out in each other one")

    scored = pixels[: args.scored]
    for name, spaces in {"alone": [], "through pooling": [model.subspace(pooled, data, time=args.switch_time)]}.items():
        nats = model.log_likelihood(scored, spaces, steps=args.steps)
        bits = -(nats / x[0].numel() + math.log(STEP)) / math.log(2)
        print(f"{name}: {torch.from_numpy(bits).mean():.3f} bits a number")


if __name__ == "__main__":
    main()
