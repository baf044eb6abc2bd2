"""Spread independent work over processes."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Item = TypeVar('Item')
Result = TypeVar('Result')


def map_ordered(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int
) -> Iterator[Result]:
    """Apply a picklable function to items in several processes, in their order.

    An error in a process is raised here and stops the others.
    """
    processes = min(processes, len(items))
    if processes <= 1:
        yield from map(function, items)
        return
    # A fork has everything imported already, which takes longer than the work.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context('fork' if 'fork' in methods else None)
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        try:
            yield from pool.map(function, items, chunksize=4)
        finally:
            pool.shutdown(cancel_futures=True)
