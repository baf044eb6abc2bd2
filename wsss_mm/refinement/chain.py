"""Chains of refiners."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from wsss_mm.registry import TASK_UTILS
from wsss_mm.utils.errors import InputError

from .seed import Seed


class Refiner(Protocol):
    """What a chain is made of.

    Attributes:
        where: 'pool' if it is plain numpy and may run in a worker process, 'main'
            if it runs beside the network.
    """

    where: str

    def __call__(self, seed: Seed) -> Seed:
        """Return a better seed; leave the arrays of this one alone."""


def build_chain(
    chains: Mapping[str, Sequence[Mapping[str, Any]]], name: str
) -> tuple[Refiner, ...]:
    """Build one of the named chains of a config.

    Args:
        chains: Lists of refiner configs by name.
        name: Of the chain.

    Raises:
        ValueError: If there is no such chain, or a refiner does not say where it runs.
    """
    if name not in chains:
        raise InputError(f'no refinement {name!r}; the config has {", ".join(chains)}')
    chain = tuple(TASK_UTILS.build(dict(config)) for config in chains[name])
    for refiner in chain:
        if getattr(refiner, 'where', None) not in ('pool', 'main'):
            raise InputError(
                f"{type(refiner).__name__}.where must be 'pool' or 'main', got "
                f'{getattr(refiner, "where", None)!r}'
            )
    return chain


def refine(seed: Seed, chain: Sequence[Refiner]) -> Seed:
    """Pass a seed through refiners, one after the other.

    Args:
        seed: Of one image.
        chain: Refiners.
    """
    for refiner in chain:
        seed = refiner(seed)
    return seed
