"""Images that fail: a user's file is one line, a fault of ours keeps its traceback."""

import logging
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from wsss_mm.apis.refine import SHOWN, raise_failures, save_all
from wsss_mm.refinement import Seed, SeedFiles, refine_all
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.parallel import Failure


@dataclass(frozen=True)
class Broken:
    """A refiner with a fault that not every image shows."""

    where: ClassVar[str] = 'pool'

    def __call__(self, seed):
        if seed.scores[1, 0, 0] > 0.5:
            seed.scores.no_such_attribute  # noqa: B018
        return seed


def seed(value):
    scores = np.full((2, 2, 2), value, np.float32)
    return Seed(np.zeros((2, 2, 3), np.uint8), np.array([0]), scores)


def test_a_broken_refiner_shows_its_first_traceback_and_a_count(tmp_path, caplog):
    missing = SeedFiles(tmp_path / 'no.jpg', tmp_path / 'no.npz')
    jobs = [('good', seed(0)), ('bad', missing), ('b', seed(1)), ('a', seed(1))]
    saved = []
    with caplog.at_level(logging.ERROR, logger='wsss_mm'):
        failures = save_all(
            refine_all(jobs, (Broken(),), workers=0),
            lambda name, _: saved.append(name),
            total=4,
        )
    assert saved == ['good']
    assert list(failures) == ['bad', 'b', 'a']
    # At once, and only the first one.
    (record,) = caplog.records
    assert record.getMessage().startswith('b failed, the others go on: Traceback')
    with pytest.raises(RuntimeError) as caught:
        raise_failures(failures, total=4)
    assert not isinstance(caught.value, InputError)
    message = str(caught.value)
    assert '2 of 4 images failed by a fault of the program. The first, b:' in message
    assert message.count('Traceback (most recent call last)') == 1
    assert 'seed.scores.no_such_attribute' in message
    assert '1 of 4 images failed:\n  bad: ' in message


def test_files_of_the_user_are_listed_up_to_a_number():
    many = {f'{i:05d}': Failure(f'{i:05d}', 'damaged') for i in range(10_000)}
    with pytest.raises(InputError) as caught:
        raise_failures(many, total=20_000)
    first, *lines = str(caught.value).splitlines()
    assert first == '10000 of 20000 images failed:'
    assert lines[0] == '  00000: damaged'
    assert len(lines) == SHOWN + 1
    assert lines[-1] == f'  ... and {10_000 - SHOWN} more'


def test_no_failure_raises_nothing():
    raise_failures({}, total=3)
