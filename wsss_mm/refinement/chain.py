"""Chains of refiners."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
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


def resolve_steps(
    steps: Sequence[str | Mapping[str, Any]], named: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Look up the steps of a chain that are given by their names.

    Args:
        steps: Configs of refiners, or names of such.
        named: The config that defines the names, as ``walk = dict(type=...)`` does.

    Returns:
        Configs of refiners, in order; those of `named` itself, not copies.

    Raises:
        InputError: If `steps` is not a list, or the config does not define a name as a
            step.
    """
    if isinstance(steps, str):
        raise InputError(f'a chain of refine is a list of steps, got {steps!r}')
    return [_resolve(step, named) if isinstance(step, str) else step for step in steps]


def _resolve(name: str, named: Mapping[str, Any]) -> Mapping[str, Any]:
    steps = {
        key: value
        for key, value in named.items()
        if isinstance(value, Mapping) and 'type' in value
    }
    if name in steps:
        return steps[name]
    near = get_close_matches(name, sorted(steps), n=1)
    hint = f'did you mean {near[0]}?' if near else 'no other step has a similar name'
    raise InputError(
        f'a chain of refine names the step {name!r}, which the config does not define '
        f'as {name} = dict(type=...); {hint}'
    )


def build_chain(
    chains: Mapping[str, Sequence[Mapping[str, Any]]], name: str
) -> tuple[Refiner, ...]:
    """Build one of the named chains of a config.

    Args:
        chains: Lists of refiner configs by name.
        name: Of the chain.

    Raises:
        InputError: If there is no such chain, or a refiner does not say where it runs.
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
