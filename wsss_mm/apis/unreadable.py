"""Find the images of a dataset that cannot be read, before a network needs them."""

from collections.abc import Sequence
from typing import Any

from mmengine.dist import all_gather_object

from wsss_mm.io.image_file import read_rgb
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.parallel import map_ordered
from wsss_mm.workflow.processes import share


def unreadable_images(
    dataset: Any, indices: Sequence[int], *, workers: int
) -> dict[int, str]:
    """Read the files of some images; that takes little beside a network.

    Several processes of one command share the images out.

    Args:
        dataset: Whose images are looked at.
        indices: Which of them, the same in all processes.
        workers: Processes that this one reads with, 0 for none.

    Returns:
        For each image that cannot be read, what is wrong with its file.
    """
    own = share(indices)
    paths = [dataset.get_data_info(index)['img_path'] for index in own]
    messages = zip(own, map_ordered(problem_of, paths, workers))
    found = {index: message for index, message in messages if message}
    every: list[dict[int, str]] = all_gather_object(found)
    return {index: one for part in every for index, one in part.items()}


def problem_of(path: str) -> str:
    """Say why an image cannot be read; nothing where it can."""
    try:
        read_rgb(path)
    except InputError as error:
        return str(error)
    return ''
