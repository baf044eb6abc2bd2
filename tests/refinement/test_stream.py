import os
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from wsss_mm.refinement import (
    PowerBackground,
    Seed,
    SeedFiles,
    ThresholdBackground,
    refine_all,
    run_pool,
)
from wsss_mm.utils.parallel import Failure

CHAIN = (PowerBackground(alpha=2),)


def seed(value):
    scores = np.full((2, 3, 4), value, np.float32)
    return Seed(np.zeros((3, 4, 3), np.uint8), np.array([0]), scores)


def jobs(count):
    return [(f'image{i}', seed(i / count)) for i in range(count)]


@dataclass(frozen=True)
class Here:
    """A refiner beside the network that fails for one image."""

    where: ClassVar[str] = 'main'

    def __call__(self, seed):
        if seed.scores[1, 0, 0] == 0.5:
            raise ValueError('half')
        return seed


def check(results, count):
    assert [name for name, _ in results] == [f'image{i}' for i in range(count)]
    for i, (_, result) in enumerate(results):
        expected = (1 - np.float32(i / count)) ** 2
        np.testing.assert_allclose(result.scores[0], expected, rtol=1e-6)


def test_in_this_process():
    check(list(refine_all(jobs(5), CHAIN, workers=0)), 5)


def test_order_errors_and_bounds_in_workers(tmp_path):
    """One pool for all of it: workers take seconds to start."""
    drawn = []
    missing = SeedFiles(tmp_path / 'no.jpg', tmp_path / 'no.npz')

    def draw():
        for i, job in enumerate(jobs(9)):
            drawn.append(i)
            yield (job[0], missing) if i == 3 else job

    results = []
    for result in refine_all(draw(), (Here(), *CHAIN), workers=1):
        results.append(result)
        assert len(drawn) - len(results) <= 1  # two in flight, one of them given
    (name, failure) = results.pop(3)
    assert (name, failure.name, failure.traceback) == ('image3', 'image3', None)
    assert str(tmp_path / 'no.jpg') in failure.message
    assert [name for name, _ in results] == [f'image{i}' for i in range(9) if i != 3]
    assert all(isinstance(result, Seed) for _, result in results)


def test_workers_load_what_nothing_here_needs(tmp_path):
    missing = SeedFiles(tmp_path / 'no.jpg', tmp_path / 'no.npz')
    results = list(refine_all([('a', missing), *jobs(2)], CHAIN, workers=2))
    assert isinstance(results[0][1], Failure)
    check(results[1:], 2)


def test_an_error_beside_the_network_is_one_image():
    for workers in (0, 1):
        results = list(refine_all(jobs(4), (Here(),), workers=workers))
        assert [isinstance(r, Failure) for _, r in results] == [
            False,
            False,
            True,
            False,
        ]
        # A ValueError is not an InputError: it is ours, and its place is known.
        (_, failure) = results[2]
        assert failure.message == 'ValueError: half'
        assert "raise ValueError('half')" in failure.traceback


def test_an_early_end_leaves_no_process():
    import multiprocessing

    before = set(multiprocessing.active_children())
    stream = refine_all(jobs(50), CHAIN, workers=1)
    next(stream)
    assert set(multiprocessing.active_children()) != before
    stream.close()
    assert set(multiprocessing.active_children()) == before


def test_a_dead_worker_is_said():
    # os._exit as the function that "loads" a seed: a worker that is killed.
    class Death:
        def __reduce__(self):
            return os._exit, (1,)

    work = [*jobs(1), ('heavy', Death()), *jobs(1)]
    with pytest.raises(RuntimeError, match=r'worker process died .*heavy.* fewer'):
        list(run_pool(work, ThresholdBackground(threshold=0.1), workers=1))


def test_negative_workers_are_refused():
    with pytest.raises(ValueError, match='workers must not be negative, got -1'):
        list(refine_all([], CHAIN, workers=-1))
