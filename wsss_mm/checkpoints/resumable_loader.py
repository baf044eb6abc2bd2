"""A data loader that goes on where another one stopped, augmentation included.

Workers augment with generators of their own, and are ahead of the training. Each batch
therefore brings along the state that its worker was in once it had made the batch.
"""

import itertools
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from mmengine.dataset import InfiniteSampler
from torch.utils.data import BatchSampler, DataLoader, get_worker_info

from wsss_mm.checkpoints.random_state import State, random_state, set_random_state

STATE = 'random_state_of_the_worker'


class CollateWithState:
    """Collate a batch and add the number and state of the worker that made it.

    Args:
        collate: How to collate; makes a dict.
        first: Number of the worker whose place the first one takes.
    """

    def __init__(self, collate: Callable[[Any], Any], first: int) -> None:
        self.collate = collate
        self.first = first

    def __call__(self, samples: Any) -> Any:
        """Collate samples."""
        batch, worker = self.collate(samples), get_worker_info()
        if worker is None or not isinstance(batch, dict):
            return batch
        number = (worker.id + self.first) % worker.num_workers
        return dict(batch, **{STATE: (number, random_state())})


class InitWithState:
    """Start a worker as the one whose place it takes, and put it into its state.

    Args:
        init: What starts a worker, or None.
        count: How many workers there are.
        first: Number of the worker whose place the first one takes.
        states: States to go on with, by number; a worker that has made no batch has
            none.
    """

    def __init__(
        self,
        init: Callable[[int], None] | None,
        *,
        count: int,
        first: int,
        states: Mapping[int, State],
    ) -> None:
        self.init = init
        self.count = count
        self.first = first
        self.states = dict(states)

    def __call__(self, worker: int) -> None:
        """Start a worker."""
        end_with_parent()
        number = (worker + self.first) % self.count
        if self.init is not None:
            self.init(number)
        if number in self.states:
            set_random_state(self.states[number])


def end_with_parent() -> None:
    """End this worker with the process it works for, even if that is killed.

    torch's own workers look every few seconds, and hang when the pipe that nobody reads
    any more is full.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=wait_for_end, args=(parent,), daemon=True).start()


def wait_for_end(parent: Any) -> None:
    """Leave as soon as a process has ended."""
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def note_states(
    loader: DataLoader, *, first: int = 0, states: Mapping[int, State] | None = None
) -> None:
    """Let the workers of a loader begin in given states, and note those they get to.

    Args:
        loader: Loader that has not started its workers.
        first: Number of the worker whose place the first one takes.
        states: States to go on with, by number of the worker.
    """
    if not loader.num_workers:
        return
    loader.collate_fn = CollateWithState(loader.collate_fn, first)
    loader.worker_init_fn = InitWithState(
        loader.worker_init_fn,
        count=loader.num_workers,
        first=first,
        states=states or {},
    )


class ResumedIterator(Iterator):
    """Iterate over a data loader for ever, from any position.

    It takes the place of the iterator in MMEngine's loop, which calls its `skip_iter`
    when it resumes (0.10.12), or takes what it skips (0.10.7): neither loads anything.

    Args:
        loader: Loader over an :class:`InfiniteSampler`.
        position: Batches that were taken before.
        draws: Whether the start of the loader draws a seed from the process's
            generator, as MMEngine's does at the start of a training.
        before_first: Called before the first batch is taken.
    """

    def __init__(
        self,
        loader: DataLoader,
        *,
        position: int,
        draws: bool,
        before_first: Callable[[], None],
    ) -> None:
        self.loader = loader
        self.position = position
        self.to_skip = position
        self.draws = draws
        self.before_first = before_first
        self.batches: Iterator[Any] | None = None

    def skip_iter(self, count: int) -> None:
        """Skip what was taken before, which this iterator does by itself."""
        self.to_skip = 0

    def __next__(self) -> Any:
        """Take a batch."""
        if self.to_skip:
            self.to_skip -= 1
            return None
        if self.batches is None:
            self.batches = self.start()
        return next(self.batches)

    def start(self) -> Iterator[Any]:
        """Start the loader at the position."""
        sampler: Any = self.loader.sampler
        batch_size = self.loader.batch_size or 1
        sampler.indices = itertools.islice(
            sampler._indices_of_rank(), self.position * batch_size, None
        )
        if not self.draws:
            use_own_generator(self.loader)
        self.loader._iterator = None  # an earlier one is at another position
        batches = iter(self.loader)
        self.before_first()
        return batches


def use_own_generator(loader: DataLoader) -> None:
    """Let a loader draw the seed of its workers without the process's generator."""
    loader.generator = torch.Generator()


def has_position(loader: DataLoader) -> bool:
    """Say whether a loader's position follows from the number of batches."""
    return (
        type(loader.sampler) is InfiniteSampler
        and loader.batch_size is not None
        and type(loader.batch_sampler) is BatchSampler
    )
