"""The one pool of worker processes: in order, with bounded memory, never by a fork.

A fork of a process that has loaded torch may hang in a lock of one of its threads, so
workers come from a fork server (or are spawned, where there is none) that has imported
what they need once for all of them.

An error in a worker is one of two kinds. An :class:`InputError` is about one item, say
a damaged file. Everything else is a fault of the program, and its traceback comes back
with it.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from multiprocessing.connection import wait
from textwrap import shorten
from typing import Any, TypeVar

from wsss_mm.utils.errors import InputError

Item = TypeVar('Item')
Result = TypeVar('Result')
# How many items wait or are worked on, for each worker.
IN_FLIGHT = 2
LONGEST_NAME = 80


@dataclass(frozen=True)
class Failure:
    """What ended the work on one item, while the others went on.

    Attributes:
        name: Of the item.
        message: What is wrong, one line.
        traceback: Where it happened, as Python prints it, for a fault of the program;
            None for an :class:`InputError`, which is about the item.
    """

    name: str
    message: str
    traceback: str | None = None

    def __str__(self) -> str:
        """Give the message."""
        return self.message


def map_ordered(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int
) -> Iterator[Result]:
    """Apply a function to items in several processes, in their order.

    Args:
        function: Picklable, of one item.
        items: Picklable.
        processes: How many; with fewer than two the work is done in this one.

    Yields:
        The results.

    Raises:
        RuntimeError: If a worker process died.
        Exception: The first error of an item, with the worker's traceback as its cause;
            it ends the work.
    """
    processes = min(processes, len(items))
    if processes <= 1:
        yield from map(function, items)
        return
    jobs = ((shorten(str(item), LONGEST_NAME), item) for item in items)
    for _, outcome in _outcomes(function, jobs, workers=processes):
        if isinstance(outcome, _Error):
            raise outcome.error from RuntimeError(f'in a worker\n{outcome.traceback}')
        yield outcome


def map_named(
    function: Callable[[Any], Result],
    jobs: Iterable[tuple[str, Any]],
    *,
    workers: int,
) -> Iterator[tuple[str, Result | Failure]]:
    """Apply a function to named items in worker processes; a failure ends one item.

    At most two items for each worker are in flight, however slow the consumer is.
    Workers compute with a single thread and end with this process, whatever ends it.

    Args:
        function: Picklable, of one item.
        jobs: Name and picklable item; a failure is passed on.
        workers: Processes; 0 applies the function in this one.

    Yields:
        Name and result, or what ended this item, in the order of the jobs.

    Raises:
        ImportError: If a module is missing, which would fail every item.
        InputError: If workers is negative.
        RuntimeError: If a worker process died.
    """
    if workers < 0:
        raise InputError(f'workers must not be negative, got {workers}')
    if workers == 0:
        for name, item in jobs:
            yield name, attempt(function, name, item)
        return
    for name, outcome in _outcomes(function, jobs, workers=workers):
        yield name, _failure(name, outcome) if isinstance(outcome, _Error) else outcome


def attempt(
    function: Callable[[Any], Result], name: str, item: Any
) -> Result | Failure:
    """Apply a function to one item in this process.

    Returns:
        The result, or what prevented it; a failure is passed on.

    Raises:
        ImportError: If a module is missing.
    """
    if isinstance(item, Failure):
        return item
    outcome = _apply(function, item)
    return _failure(name, outcome) if isinstance(outcome, _Error) else outcome


def prefetch(
    function: Callable[[Item], Result],
    jobs: Iterable[tuple[str, Item]],
    *,
    ahead: int = IN_FLIGHT,
) -> Iterator[tuple[str, Result | Failure]]:
    """Apply a function to the next items in a thread while the consumer works.

    For reading files: a thread needs no start and shares memory, but Python's own code
    runs in one thread at a time.

    Args:
        function: Of one item.
        jobs: Name and item.
        ahead: How many results may wait.

    Yields:
        Name and result, or what ended this item, in the order of the jobs.

    Raises:
        ImportError: If a module is missing.
    """
    waiting: deque[tuple[str, Future[Result | Failure]]] = deque()
    with ThreadPoolExecutor(1) as thread:
        try:
            for name, item in jobs:
                waiting.append((name, thread.submit(attempt, function, name, item)))
                if len(waiting) > ahead:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for name, future in waiting:
                yield name, future.result()
        finally:
            thread.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Error:
    """An exception and where it was raised."""

    error: Exception
    traceback: str

    @classmethod
    def of(cls, error: Exception) -> '_Error':
        return cls(error, ''.join(traceback.format_exception(error)))


def _failure(name: str, error: _Error) -> Failure:
    """Sort an error into the two kinds."""
    if isinstance(error.error, ImportError):
        raise error.error from RuntimeError(f'at {name}\n{error.traceback}')
    if isinstance(error.error, InputError):
        return Failure(name, str(error.error))
    message = ''.join(traceback.format_exception_only(error.error)).strip()
    return Failure(name, message.splitlines()[0], error.traceback)


def _apply(function: Callable[[Item], Result], item: Item) -> Result | _Error:
    try:
        return function(item)
    except Exception as error:  # handed on: one item must not end the others
        return _Error.of(error)


def _apply_pickled(function: bytes, item: bytes) -> Any:
    """Apply a function in a worker; give the result, or an error that can travel.

    Both are unpickled here, as the worker would die of what the pool cannot unpickle.
    """
    outcome = _apply(lambda _: pickle.loads(function)(pickle.loads(item)), None)
    if not isinstance(outcome, _Error):
        return outcome
    try:
        pickle.loads(pickle.dumps(outcome.error))
    except Exception:  # its class may want other arguments
        kind = InputError if isinstance(outcome.error, InputError) else RuntimeError
        name = type(outcome.error).__name__
        return _Error(kind(f'{name}: {outcome.error}'), outcome.traceback)
    return outcome


def _outcomes(
    function: Callable[[Item], Result],
    jobs: Iterable[tuple[str, Item | Failure]],
    *,
    workers: int,
) -> Iterator[tuple[str, Any]]:
    """Work in processes; yield each name with its result, failure or error."""
    pool = ProcessPoolExecutor(
        workers, mp_context=_context(function), initializer=_begin_worker
    )
    pickled = pickle.dumps(function)
    waiting: deque[tuple[str, Future[Any] | Failure | _Error]] = deque()
    done = 0
    try:
        for name, item in jobs:
            waiting.append((name, _submit(pool, pickled, item)))
            if len(waiting) >= IN_FLIGHT * workers:
                yield _next(waiting)
                done += 1
        while waiting:
            yield _next(waiting)
            done += 1
    except BrokenProcessPool as error:
        names = [name for name, work in waiting if isinstance(work, Future)]
        raise _death(names or [name], started=done > 0) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(
    pool: ProcessPoolExecutor, function: bytes, item: Any
) -> Future[Any] | Failure | _Error:
    """Hand an item to the workers, if it can travel."""
    if isinstance(item, Failure):
        return item
    pickled = _apply(pickle.dumps, item)
    if isinstance(pickled, _Error):
        return pickled
    return pool.submit(_apply_pickled, function, pickled)


def _next(
    waiting: deque[tuple[str, Future[Any] | Failure | _Error]],
) -> tuple[str, Any]:
    """Wait for the oldest job; it stays in the list until it has ended."""
    name, work = waiting[0]
    outcome: Any = work
    if isinstance(work, Future):
        try:
            outcome = work.result()
        except BrokenProcessPool:
            raise
        except Exception as error:  # a result that cannot be pickled
            outcome = _Error.of(error)
    waiting.popleft()
    return name, outcome


def _death(names: Sequence[str], *, started: bool) -> RuntimeError:
    """Say that a worker was killed, and at which items."""
    guard = (
        '. A script must start its work under `if __name__ == "__main__":`, as every '
        'worker imports it'
    )
    hint = '' if started else guard
    return RuntimeError(
        f'a worker process died at one of these images: {", ".join(names)}. Most often '
        f'the memory did not suffice: use fewer workers{hint}'
    )


def _context(function: Any) -> multiprocessing.context.BaseContext:
    """Choose how to start workers: never by a fork of this process.

    The fork server imports what the first function needs, once for all workers.
    """
    if 'forkserver' not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context('spawn')
    context = multiprocessing.get_context('forkserver')
    modules = _modules_of(function) | _modules_of_script()
    context.set_forkserver_preload(sorted(modules - {'__main__'}))
    return context


def _modules_of(function: Any) -> set[str]:
    """List the modules that a function and the values it carries come from."""
    if isinstance(function, partial):
        return _modules_of(function.func)
    if is_dataclass(function) and not isinstance(function, type):
        values = [getattr(function, field.name) for field in fields(function)]
        values = [one for v in values for one in (v if isinstance(v, tuple) else (v,))]
        parts = [_modules_of(one) for one in values if callable(one)]
        return {type(function).__module__}.union(*parts)
    return {getattr(function, '__module__', None) or '__main__'}


def _modules_of_script() -> set[str]:
    """List the modules of this package that every worker imports with the script."""
    values = vars(sys.modules['__main__']).values()
    modules = {str(getattr(value, '__module__', '')) for value in values}
    return {one for one in modules if one.split('.')[0] == __name__.split('.')[0]}


def _begin_worker() -> None:
    """Prepare a worker: one thread, and no life of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the pool
    os.environ['OMP_NUM_THREADS'] = '1'  # of libraries that are still to be loaded
    if 'torch' in sys.modules:
        sys.modules['torch'].set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process as soon as its parent has ended, killed or not."""
    wait([sentinel])
    os._exit(1)
