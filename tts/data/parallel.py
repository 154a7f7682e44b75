"""One function over many items in several processes."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

from tts.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(function: Callable[[Item], Result], items: Sequence[Item], n_jobs: int, preload: str) -> Iterator[Result]:
    """Results in order of completion; leaving the iterator early stops what has not begun.

    Args:
        function: picklable; what it raises is raised here.
        items: picklable, each worked on in one process with one torch thread.
        n_jobs: processes; with 1 everything is done in this one, in order.
        preload: module that the workers import once.

    Raises:
        DataError: if a worker process died.
    """
    if n_jobs == 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("forkserver")  # forking a process that runs torch threads can hang
    context.set_forkserver_preload([preload])
    pool = ProcessPoolExecutor(n_jobs, mp_context=context, initializer=_start_worker)
    try:
        futures = [pool.submit(function, item) for item in items]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as err:
        raise DataError(
            "a worker process died (out of memory?). Run again with a lower --nj; finished files are kept."
        ) from err
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the pool
    torch.set_num_threads(1)
