"""How fast speech is made."""

import statistics
import time
from collections.abc import Callable

import torch

from tts.device import resolve_device


def real_time_factor(
    synthesize: Callable[[], int], sample_rate: int, *, repeats: int = 3, device: torch.device | str = "cpu"
) -> float:
    """Seconds of computing per second of audio; below 1 is faster than speech. The median of `repeats` runs after one more.

    Args:
        synthesize: makes the audio and returns its number of samples.
        sample_rate: Hz.
        repeats: timed runs.
        device: where it computes; CUDA is waited for.

    Raises:
        ValueError: if `repeats` is below 1 or no audio was made.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, found {repeats}.")
    on_cuda = resolve_device(str(device)).type == "cuda"
    factors = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        n_samples = synthesize()
        if on_cuda:
            torch.cuda.synchronize(device)
        if n_samples < 1:
            raise ValueError(f"the timed call made {n_samples} samples; there is nothing to divide by.")
        factors.append((time.perf_counter() - start) * sample_rate / n_samples)
    return statistics.median(factors[1:])
