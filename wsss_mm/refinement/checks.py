"""Values of refiners' configs, checked when a refiner is built."""

import math
from collections.abc import Mapping
from typing import Any

from wsss_mm.functional.dense_crf import CRF_PARAMETERS, CRFParameters
from wsss_mm.utils.errors import InputError


def check_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> None:
    """Refuse what is not a number, or one out of range.

    Args:
        name: Of the value in the config.
        value: To be checked.
        least: Smallest number that is allowed.
        above: What it must exceed.
        below: What it must stay below.

    Raises:
        InputError: If the value is not allowed.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and value >= least and above < value < below:
        return
    if (above, below) == (0, math.inf):
        wanted = 'a positive number'
    elif math.isfinite(least):
        wanted = f'a number >= {least:g}'
    else:
        wanted = f'in ({above:g}, {below:g})'
    raise InputError(f'{name} must be {wanted}, got {value!r}')


def check_whole(name: str, value: Any, *, least: int = 0) -> None:
    """Refuse what is not a whole number of at least a size.

    Args:
        name: Of the value in the config.
        value: To be checked.
        least: Smallest number that is allowed.

    Raises:
        InputError: If the value is not allowed.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f'{name} must be whole and at least {least}, got {value!r}')


def crf_settings(parameters: str | CRFParameters | Mapping[str, Any]) -> CRFParameters:
    """Give the parameters of dense CRF that a config means.

    Args:
        parameters: A name of the released codes, or parameters.

    Raises:
        InputError: If there is no such name or a number is out of range.
    """
    if isinstance(parameters, CRFParameters):
        return parameters
    if isinstance(parameters, Mapping):
        try:
            return CRFParameters(**parameters)
        except (TypeError, ValueError) as error:
            raise InputError(f'CRF parameters: {error}') from error
    if parameters not in CRF_PARAMETERS:
        raise InputError(
            f'no CRF parameters named {parameters!r}; there are '
            f'{", ".join(CRF_PARAMETERS)}'
        )
    return CRF_PARAMETERS[parameters]
