"""What tests/utils/test_parallel.py lets workers do: they must be able to import it."""

import os
import signal
import sys
import threading

from wsss_mm.utils.errors import InputError


class OddError(Exception):
    """Cannot be built again from what it pickles."""

    def __init__(self, one, two):
        super().__init__(one + two)


def work(number):
    if number == 3:
        raise InputError('a damaged file')
    if number == 5:
        raise KeyError('broken\nin two lines')
    if number == 6:
        raise OddError('a', 'b')
    if number == 7:
        return lambda: None
    return number * number


def damaged(number):
    if number == 5:
        raise InputError(f'{number} is damaged')
    return -number


def lacking(number):
    import a_module_that_does_not_exist  # noqa: F401


def process_of(number):
    torch = sys.modules.get('torch')
    return os.getpid(), os.getppid(), threading.active_count(), torch is not None


def kill(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number
