"""Train a homomorphism autoencoder on moves of sprites, or of a model's own denoising: its folder, and beside it a roll-out.

Sprites move around a torus by actions whose meaning the model is not told; codes learn to be moved by matrices. With --model
the actions are steps of that model's reverse diffusion instead, which is group-structured denoising; --transition free is the
predictor without structure that it is compared with. With --soft-weight the blocks of the matrices are found, not given.
"""

import argparse
import logging
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

SHOWN, LENGTH = 4, 8  # roll-outs in the picture, actions of each
HELD_OUT = 8  # one run in so many is kept for the report
PROBED = 512  # actions whose matrices are looked at for blocks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image train-hae`."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="model to write, its report inside; DIR.png beside it"
    )
    parser.add_argument("--size", type=int, default=16, help="of sprites: pixels along a side")
    parser.add_argument("--positions", type=int, default=16, help="of sprites: places along x and y, 2 to 64")
    parser.add_argument("--orientations", type=int, default=1, help="of sprites: turns, a divisor of 40; 1: none")
    parser.add_argument("--shapes", type=int, default=1, help="of sprites: 1 to 3; more than 1 wants --free-units")
    parser.add_argument("--reach", type=int, default=5, help="of sprites: largest move of one action, in places")
    parser.add_argument(
        "--scrambled", type=int, default=0, metavar="N", help="of sprites: actions as N numbers of a random network"
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="diffusion model whose denoising is learnt in place of sprites"
    )
    parser.add_argument("--runs", type=int, default=256, help="of --model: runs of reverse diffusion, one in 8 held out")
    parser.add_argument("--denoising-steps", type=int, default=20, metavar="N", help="of --model: steps of each run, 9 or more")
    parser.add_argument(
        "--blocks",
        type=int,
        nargs="+",
        metavar="D",
        help="sizes of the blocks (default 2 for each factor; 2 2 2 2; with --soft-weight one block of their sum)",
    )
    parser.add_argument(
        "--soft-weight",
        type=float,
        default=0.0,
        metavar="W",
        help="weight of a penalty by which blocks become smaller ones, whose sizes are written; 0: the blocks are as given",
    )
    parser.add_argument("--free-units", type=int, default=0, help="numbers of a code that no action moves")
    parser.add_argument(
        "--transition", choices=("group", "steps", "free"), help="default: group for sprites, steps for --model"
    )
    parser.add_argument("--steps", type=int, default=4000, help="steps of training")
    parser.add_argument("--batch-size", type=int, default=64, help="sequences at once")
    parser.add_argument("--lr", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--gamma", type=float, default=40.0, help="weight of predicted codes")
    parser.add_argument("--restarts", type=int, default=4, help="first weights that are tried; the best goes on")
    parser.add_argument(
        "--device", default="auto", help="of --model: auto, cpu, cuda, cuda:N or mps; the training is on the CPU"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seed", type=int, default=0, help="of first weights, moves and noise")


def run(args: argparse.Namespace) -> int:
    """Train."""
    import torch

    from tts.image.groups.report import found_blocks, report_hae
    from tts.image.groups.trajectories import report_steps
    from tts.image.groups.transitions import GroupRep
    from tts.inference.hae_folder import save_hae
    from tts.inference.image_grids import save_grid
    from tts.inference.image_rollouts import rollout_rows
    from tts.inference.image_tables import blocks_line, hae_table, steps_table
    from tts.training.hae import HaeTraining, train_hae

    settings = HaeTraining(
        steps=args.steps, batch_size=args.batch_size, lr=args.lr, gamma=args.gamma, restarts=args.restarts, seed=args.seed
    )
    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(args.seed)
    if args.model is None:
        actions = _sprites(args)
        trained = train_hae(settings, _config(args, actions), actions)
        table = hae_table(report_hae(trained.hae, actions, generator), trained.loss)
        shown, probed = actions.draw(SHOWN, LENGTH, generator), actions.draw(PROBED, 1, generator)
    else:
        learnt, held_out = _denoising(args)
        trained = train_hae(settings, _config(args, learnt), learnt)
        table = steps_table(report_steps(trained.hae, held_out), trained.loss)
        shown, probed = held_out.draw(SHOWN, LENGTH, generator, reach=1), held_out.draw(PROBED, 1, generator)
    if args.soft_weight and isinstance(trained.hae.transition, GroupRep):
        table += blocks_line(found_blocks(trained.hae.transition, probed.actions[:, 0]))
    save_hae(args.out, trained.hae, f"# Homomorphism autoencoder\n\n{table}")
    save_grid(args.out.with_name(f"{args.out.name}.png"), rollout_rows(trained.hae, shown))
    print(table)
    return 0


def _sprites(args: argparse.Namespace) -> Any:
    """Actions on cyclic sprites."""
    from tts.image.cyclic import CyclicSprites
    from tts.image.groups.actions import CyclicActions

    sprites = CyclicSprites(args.size, positions=args.positions, orientations=args.orientations, shapes=args.shapes)
    if args.reach < 2:
        raise ValueError(f"--reach: found {args.reach}, expected 2 or more, so that two actions make a third.")
    return CyclicActions(sprites, reach=args.reach, scrambled=args.scrambled, seed=args.seed)


def _denoising(args: argparse.Namespace) -> tuple[Any, Any]:
    """Runs of a model's reverse diffusion: those that are learnt, and those held out."""
    import torch

    from tts.diffusion import time_grid
    from tts.image.groups.trajectories import START, Trajectories, denoising_trajectories
    from tts.inference.image_model import ImageModel

    if args.runs < HELD_OUT or args.denoising_steps <= LENGTH:
        given = (args.runs, args.denoising_steps)
        raise ValueError(f"--runs and --denoising-steps must be {HELD_OUT} and {LENGTH + 1} at least, found {given}.")
    model = ImageModel.from_pretrained(args.model, args.device)
    network = model.diffusion
    if not network.diffuses_pixels or model.has_codes:
        raise ValueError("--model: expected a model without codes that diffuses pixels, such as a ddpm.")
    u = torch.from_numpy(model.noises(args.runs, seed=args.seed)).to(model.device)
    times = time_grid(network.schedule, args.denoising_steps, start=START)
    runs = denoising_trajectories(network.composite(None), u, network.schedule, times)
    found = Trajectories(runs.observations.cpu(), runs.places.cpu())
    n = args.runs // HELD_OUT
    return found.runs(slice(n, None)), found.runs(slice(None, n))


def _config(args: argparse.Namespace, moves: Any) -> Any:
    """The sizes of the autoencoder of these moves."""
    from tts.image.groups.config import HaeConfig, TransitionKind
    from tts.image.groups.transitions import without_structure
    from tts.image.vae_config import Likelihood

    own = "group" if args.model is None else "steps"
    sprites = args.model is None
    blocks = tuple(args.blocks or ([2] * moves.n_factors if sprites else [2, 2, 2, 2]))
    if args.soft_weight and args.transition == "free":
        raise ValueError("--soft-weight: a free transition has no matrices. Give --transition group or steps, or no weight.")
    if args.soft_weight and not args.blocks:
        blocks = (sum(blocks),)
    structured = args.transition if args.transition in ("group", "steps") else own
    config = HaeConfig(
        size=moves.size,
        channels=moves.channels,
        action_dim=moves.action_dim,
        blocks=blocks,
        free_units=args.free_units,
        transition=TransitionKind(structured),
        soft_weight=args.soft_weight,
        likelihood=Likelihood.bernoulli if sprites else Likelihood.gaussian,
    )
    return without_structure(config) if args.transition == "free" else config
