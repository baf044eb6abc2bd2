"""Draw from NumPy's global generator, which MMEngine seeds in every worker."""

import numpy as np


def uniform(low: float, high: float) -> float:
    """Draw a float from [low, high)."""
    return float(np.random.uniform(low, high))  # noqa: NPY002


def integer(low: int, high: int) -> int:
    """Draw an integer from low to high, both included."""
    return int(np.random.randint(low, high + 1))  # noqa: NPY002


def permutation(count: int) -> list[int]:
    """Draw an order of `count` things."""
    return [int(i) for i in np.random.permutation(count)]  # noqa: NPY002
