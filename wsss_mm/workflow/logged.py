"""Figures that a training logged."""

import json
from pathlib import Path


def logged_figure(network: Path, key: str) -> float | None:
    """Give the last value of a figure in the log of a training.

    Args:
        network: Folder it was trained into.
        key: Name of the figure, such as ``tag_mAP``.

    Returns:
        The value, or None where it was not logged.
    """
    for file in sorted(network.glob('*/vis_data/scalars.json'), reverse=True):
        for line in reversed(file.read_text(encoding='utf-8').splitlines()):
            # A process that was killed may leave half a line.
            if line.startswith('{') and line.endswith('}'):
                found = json.loads(line)
                if key in found:
                    return float(found[key])
    return None
