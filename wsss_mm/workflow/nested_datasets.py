"""Datasets of a config that repeat, balance or join others."""

from collections.abc import Sequence
from typing import Any

from wsss_mm.registry import DATASETS
from wsss_mm.utils.errors import InputError


def plain_datasets(data: Any) -> list[Any]:
    """List the configs of the datasets inside of one; a plain one is itself the list.

    Args:
        data: Config of a dataset, such as one of type ``RepeatDataset``, which has a
            ``dataset``, or ``ConcatDataset``, which has ``datasets``.
    """
    inner = [*(data.get('datasets') or ()), *filter(None, [data.get('dataset')])]
    return [one for part in inner for one in plain_datasets(part)] or [data]


def only_dataset(data: Any, *, where: str, remedy: str) -> Any:
    """Give the config of the one dataset that another repeats or balances.

    Args:
        data: Config of a dataset.
        where: Key of the dataset, for the message.
        remedy: What to do where there are several.

    Raises:
        InputError: If several are joined.
    """
    found = plain_datasets(data)
    if len(found) > 1:
        lists = ', '.join(str(one.get('ann_file') or one.get('tags')) for one in found)
        raise InputError(f'{where} joins {len(found)} datasets ({lists}); {remedy}')
    return found[0]


def rows_in_list(data: Any, positions: Sequence[int]) -> list[int]:
    """Turn positions among a dataset's images into those among all of its list.

    Args:
        data: Config of the dataset, which may choose images by ``indices``.
        positions: Of images among the chosen ones.
    """
    chosen = data.get('indices')
    if chosen is None or (isinstance(chosen, int) and chosen >= 0):
        return list(positions)  # the first of the list
    if isinstance(chosen, int):
        every = DATASETS.build(dict(data, indices=None, pipeline=[]))
        first = max(len(every) + chosen, 0)
        return [first + position for position in positions]
    return [chosen[position] for position in positions]
