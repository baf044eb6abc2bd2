"""How far a command is, with the time left."""

import itertools
import sys
import time
from collections.abc import Callable
from datetime import timedelta

from wsss_mm.utils.logging import LOGGER

LINES_EVERY = 50


def progress(total: int) -> Callable[[], None]:
    """Show how far a stage is: a bar on a terminal, else lines as a log has them.

    Returns:
        What to call after each image.
    """
    if sys.stdout.isatty():
        from mmengine.utils import ProgressBar

        bar: Callable[[], None] = ProgressBar(total).update
        return bar
    start, count = time.monotonic(), itertools.count(1)

    def line() -> None:
        number = next(count)
        if number % LINES_EVERY == 0 or number == total:
            left = (time.monotonic() - start) / number * (total - number)
            eta = timedelta(seconds=round(left))
            LOGGER.info('Iter(test) [%d/%d]  eta: %s', number, total, eta)

    return line
