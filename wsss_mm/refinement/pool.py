"""Work on many images in processes, in order and with bounded memory."""

import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from typing import TypeVar

import torch

from wsss_mm.utils.errors import InputError

from .chain import Refiner, refine
from .seed import Seed

Source = Seed | Callable[[], Seed]
Result = TypeVar('Result')
# How many images wait or are worked on, for each worker.
IN_FLIGHT = 2


def refine_all(
    jobs: Iterable[tuple[str, Source]], chain: Sequence[Refiner], *, workers: int
) -> Iterator[tuple[str, Seed | Exception]]:
    """Pass many seeds through a chain of refiners.

    Up to and including the last refiner with `where = 'main'` the chain runs in this
    process, the rest in workers. So the workers are busy while a network makes the
    next seed. If nothing runs here, seeds are also read in the workers.

    Args:
        jobs: Name and seed of each image, or a function that returns the seed. It is
            called where the chain begins and must be picklable if that is a worker.
        chain: Refiners.
        workers: Processes; 0 runs everything in this one.

    Yields:
        Name and refined seed (without its affinity), in the order of the jobs, or
        the exception that ended this image.

    Raises:
        RuntimeError: If a worker process died.
        ValueError: If workers is negative.
    """
    here = max((i + 1 for i, one in enumerate(chain) if one.where == 'main'), default=0)
    begun = (
        (name, _attempt(_Chain(tuple(chain[:here])), source) if here else source)
        for name, source in jobs
    )
    yield from run_pool(begun, _Chain(tuple(chain[here:])), workers=workers)


def run_pool(
    jobs: Iterable[tuple[str, Source | Exception]],
    function: Callable[[Seed], Result],
    *,
    workers: int,
) -> Iterator[tuple[str, Result | Exception]]:
    """Apply a function to many seeds in worker processes.

    At most two images for each worker are in flight, however slow the consumer is.
    Workers compute with a single thread and end with this process, whatever ends it.

    Args:
        jobs: Name and seed of each image, or a picklable function that returns the
            seed, or an exception, which is passed on.
        function: Picklable.
        workers: Processes; 0 applies the function in this one.

    Yields:
        Name and result in the order of the jobs, or the exception that ended this
        image.

    Raises:
        RuntimeError: If a worker process died.
        ValueError: If workers is negative.
    """
    if workers < 0:
        raise InputError(f'workers must not be negative, got {workers}')
    if workers == 0:
        for name, source in jobs:
            yield name, _attempt(function, source)
        return
    pool = ProcessPoolExecutor(
        workers, mp_context=_context(), initializer=_begin_worker
    )
    waiting: deque[tuple[str, Future[Result | Exception] | Exception]] = deque()
    try:
        for name, source in jobs:
            waiting.append((name, _submit(pool, function, source)))
            if len(waiting) >= IN_FLIGHT * workers:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    except BrokenProcessPool as error:
        names = ', '.join(name for name, _ in waiting)
        raise RuntimeError(
            f'a worker process died at one of these images: {names}. Most often the '
            'memory did not suffice: use fewer workers'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Chain:
    """Refiners as one picklable function."""

    refiners: tuple[Refiner, ...]

    def __call__(self, seed: Seed) -> Seed:
        # The affinity has served, and tensors would travel in shared memory.
        return replace(refine(seed, self.refiners), affinity=None)


def _attempt(
    function: Callable[[Seed], Result], source: Source | Exception
) -> Result | Exception:
    """Return the result, or the exception that prevented it."""
    if isinstance(source, Exception):
        return source
    try:
        return function(source if isinstance(source, Seed) else source())
    except Exception as error:  # one bad image must not end the others
        return error


def _attempt_in_worker(
    function: Callable[[Seed], Result], source: Source
) -> Result | Exception:
    """Return the result, or an exception that can travel."""
    result = _attempt(function, source)
    if isinstance(result, Exception):
        try:
            pickle.loads(pickle.dumps(result))
        except Exception:  # its class may want other arguments
            return RuntimeError(f'{type(result).__name__}: {result}')
    return result


def _submit(
    pool: ProcessPoolExecutor,
    function: Callable[[Seed], Result],
    source: Source | Exception,
) -> Future[Result | Exception] | Exception:
    if isinstance(source, Exception):
        return source
    if isinstance(source, Seed):
        source = replace(source, affinity=None)
    return pool.submit(_attempt_in_worker, function, source)


def _next(
    waiting: deque[tuple[str, Future[Result | Exception] | Exception]],
) -> tuple[str, Result | Exception]:
    """Wait for the oldest job; it stays in the list until it has ended."""
    name, future = waiting[0]
    result = future if isinstance(future, Exception) else future.result()
    waiting.popleft()
    return name, result


def _context() -> multiprocessing.context.BaseContext:
    """Choose how to start workers: never a fork of a process with a network in it.

    The fork server imports the package once for all workers.
    """
    if 'forkserver' not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context('spawn')
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['wsss_mm.refinement'])
    return context


def _begin_worker() -> None:
    """Prepare a worker: one thread, and no life of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the pool
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process as soon as its parent has ended, killed or not."""
    wait([sentinel])
    os._exit(1)
