"""Many images through a chain: what runs beside the network, and what in workers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from wsss_mm.utils.parallel import Failure, attempt, map_named

from .chain import Refiner, refine
from .seed import Seed

Source = Seed | Callable[[], Seed]
Result = TypeVar('Result')


def refine_all(
    jobs: Iterable[tuple[str, Source | Failure]],
    chain: Sequence[Refiner],
    *,
    workers: int,
) -> Iterator[tuple[str, Seed | Failure]]:
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
        Name and refined seed (without its affinity), or what ended this image, in the
        order of the jobs.

    Raises:
        ImportError: If a module is missing, which would fail every image.
        InputError: If workers is negative.
        RuntimeError: If a worker process died.
    """
    here = max((i + 1 for i, one in enumerate(chain) if one.where == 'main'), default=0)
    begin = _OnSeed(_Chain(tuple(chain[:here])))
    begun = (
        (name, attempt(begin, name, source) if here else source)
        for name, source in jobs
    )
    yield from run_pool(begun, _Chain(tuple(chain[here:])), workers=workers)


def run_pool(
    jobs: Iterable[tuple[str, Source | Failure]],
    function: Callable[[Seed], Result],
    *,
    workers: int,
) -> Iterator[tuple[str, Result | Failure]]:
    """Apply a function to many seeds in worker processes.

    Args:
        jobs: Name and seed of each image, or a picklable function that returns the
            seed. A failure is passed on.
        function: Picklable.
        workers: Processes; 0 applies the function in this one.

    Yields:
        Name and result, or what ended this image, in the order of the jobs.

    Raises:
        ImportError: If a module is missing, which would fail every image.
        InputError: If workers is negative.
        RuntimeError: If a worker process died.
    """
    light = ((name, _without_affinity(source)) for name, source in jobs)
    yield from map_named(_OnSeed(function), light, workers=workers)


def _without_affinity(source: Source | Failure) -> Source | Failure:
    # It has served, and tensors would travel in shared memory.
    return replace(source, affinity=None) if isinstance(source, Seed) else source


@dataclass(frozen=True)
class _Chain:
    """Refiners as one picklable function."""

    refiners: tuple[Refiner, ...]

    def __call__(self, seed: Seed) -> Seed:
        return replace(refine(seed, self.refiners), affinity=None)


@dataclass(frozen=True)
class _OnSeed(Generic[Result]):
    """A function of a seed that also takes what reads the seed."""

    function: Callable[[Seed], Result]

    def __call__(self, source: Source) -> Result:
        return self.function(source if isinstance(source, Seed) else source())
