"""A data loader that goes on where another one stopped, augmentation included.

Workers augment with generators of their own, and are ahead of the training. Each batch
therefore brings along the state that its worker was in once it had made the batch.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.dataset import InfiniteSampler
from torch.utils.data import DataLoader

from wsss_mm.engine.random_state import State, random_state, set_random_state

STATE = 'random_state_of_the_worker'
# Its number at the start of the training, and its state once it has made a batch.
WorkerState = tuple[int, State | None]


class CollateWithState:
    """Collate a batch and add the state of the worker that made it.

    Args:
        collate: How to collate; makes a dict.
    """

    def __init__(self, collate: Callable[[Any], Any]) -> None:
        self.collate = collate

    def __call__(self, samples: Any) -> Any:
        """Collate samples."""
        batch = self.collate(samples)
        if not isinstance(batch, dict):
            return batch
        return dict(batch, **{STATE: random_state()})


class InitWithState:
    """Start a worker as the one whose place it takes, and put it into its state.

    Args:
        init: What starts a worker, or None.
        workers: The worker that each is to go on as, in turn.
    """

    def __init__(
        self, init: Callable[[int], None] | None, workers: list[WorkerState]
    ) -> None:
        self.init = init
        self.workers = workers

    def __call__(self, worker: int) -> None:
        """Start a worker."""
        number, state = self.workers[worker]
        if self.init is not None:
            self.init(number)
        if state is not None:
            set_random_state(state)


class ResumableIterator(Iterator):
    """Iterate over a data loader for ever, from any position, and note the states.

    It takes the place of the iterator in MMEngine's loop, which calls it `skip_iter`
    when it resumes (0.10.12), or takes what it skips (0.10.7): neither loads anything.

    Args:
        loader: Loader over an :class:`InfiniteSampler`.
        position: Batches that were taken before.
        workers: The workers then, the next in turn first.
        fresh: Whether workers start by drawing a seed from the process's generator, as
            MMEngine's do at the start of a training.
        before_first: Called before the first batch is loaded.
    """

    def __init__(
        self,
        loader: DataLoader,
        *,
        position: int,
        workers: list[WorkerState],
        fresh: bool,
        before_first: Callable[[], None],
    ) -> None:
        self.loader = loader
        self.position = position
        self.to_skip = position
        self.workers = workers
        self.fresh = fresh
        self.before_first = before_first
        self.batches: Iterator[Any] | None = None

    def skip_iter(self, count: int) -> None:
        """Skip what was taken before, which this iterator does by itself."""
        self.to_skip = 0

    def __next__(self) -> Any:
        """Take a batch, without what was added to it."""
        if self.to_skip:
            self.to_skip -= 1
            return None
        if self.batches is None:
            self.batches = self.start()
        batch = next(self.batches)
        if self.workers:
            state = batch.pop(STATE) if isinstance(batch, dict) else None
            # The worker goes to the end of the queue.
            (number, _), *others = self.workers
            self.workers = [*others, (number, state)]
        self.position += 1
        return batch

    def start(self) -> Iterator[Any]:
        """Start the loader at the position, and the workers in their states."""
        loader, sampler = self.loader, self.loader.sampler
        sampler.indices = itertools.islice(
            sampler._indices_of_rank(), self.position * loader.batch_size, None
        )
        if self.workers:
            loader.collate_fn = CollateWithState(loader.collate_fn)
            loader.worker_init_fn = InitWithState(loader.worker_init_fn, self.workers)
        if not self.fresh:
            # A seed for the workers is drawn, from here and not from the process's.
            loader.generator = torch.Generator()
        loader._iterator = None  # an earlier one is at another position
        batches = iter(loader)
        self.before_first()
        return batches


def is_resumable(loader: DataLoader) -> bool:
    """Tell whether a loader's position follows from the number of batches."""
    return (
        type(loader.sampler) is InfiniteSampler
        and loader.batch_size is not None
        and type(loader.batch_sampler) is torch.utils.data.BatchSampler
    )
