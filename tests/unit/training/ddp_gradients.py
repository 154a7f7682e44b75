"""Gradients of two gloo processes on half a batch each against one process on the whole; run as a script by the test."""

import dataclasses
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from tts.data.dataset import UtteranceDataset, collate
from tts.data.statistics import STATISTICS, TOKENS, Statistics
from tts.speech.model import SourceFilterModel
from tts.testing import seeded, tiny_speech_config
from tts.text.tokens import Tokens
from tts.training.losses import prior_losses


class Loss(torch.nn.Module):
    """The prior losses as one scalar, so that DDP sees a forward pass."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch, style):
        return torch.stack(list(prior_losses(self.model, batch, style)[0].values())).sum()


def make(folder):
    tokens, statistics = Tokens.load(folder / TOKENS), Statistics.load(folder / STATISTICS)
    dataset = UtteranceDataset(folder, tokens, statistics)
    item = dataset[0]
    other = dataclasses.replace(item, mel=item.mel.flip(0), pitch=-item.pitch)  # equal lengths: means of halves are means
    model = seeded(lambda: SourceFilterModel(tiny_speech_config(len(tokens))), spread=0.05)
    return model, [item, other], torch.linspace(-1, 1, 32).view(2, 16)


def worker(rank, folder, path):
    dist.init_process_group("gloo", init_method=(folder / "rendezvous").as_uri(), rank=rank, world_size=2)
    model, items, style = make(folder)
    parallel = DistributedDataParallel(Loss(model), find_unused_parameters=True)
    parallel(collate(items[rank : rank + 1]), style[rank : rank + 1]).backward()
    if rank == 0:
        torch.save({n: p.grad for n, p in model.named_parameters() if p.grad is not None}, path)
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)  # a thread of autograd or gloo that asks for the interpreter while it ends aborts the process, now and then


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    path = folder / "gradients.pt"
    (folder / "rendezvous").unlink(missing_ok=True)
    mp.spawn(worker, (folder, path), nprocs=2)
    model, items, style = make(folder)
    Loss(model)(collate(items), style).backward()
    theirs = torch.load(path, weights_only=True)
    mine = {n: p.grad for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert mine.keys() <= theirs.keys() and len(mine) > 50, (len(mine), len(theirs))
    difference = max((mine[n] - theirs[n]).abs().max().item() for n in mine)
    assert difference < 1e-5, difference
    sys.stdout.write(f"largest difference {difference}\n")
