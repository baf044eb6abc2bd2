"""One command in several processes, which share out images and workers."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import barrier, get_rank, get_world_size

from wsss_mm.workflow.kept_files import remaining

# Where a launcher says how many processes it began on a machine.
LOCAL_COUNTS = dict(
    pytorch='LOCAL_WORLD_SIZE',
    slurm='SLURM_NTASKS_PER_NODE',
    mpi='OMPI_COMM_WORLD_LOCAL_SIZE',
)


def share(indices: Sequence[int]) -> list[int]:
    """Take this process's part of a list that is the same in all."""
    return list(indices[get_rank() :: get_world_size()])


def share_of_remaining(
    names: Sequence[str], *folders: tuple[Path, str], overwrite: bool
) -> list[int]:
    """Take this process's part of the images that lack a file in some folder.

    Args:
        names: Names of the images.
        folders: Each folder, and the ending of its files.
        overwrite: Whether every image lacks them.

    Returns:
        Their indices. No image is in the parts of two processes, or in none.
    """
    barrier()  # the files of an earlier stage are there
    todo = remaining(names, *folders, overwrite=overwrite)
    barrier()  # nobody writes before all have looked
    return share(todo)


def workers_here(workers: int, launcher: str) -> int:
    """Divide a machine's workers among the processes that a launcher began on it.

    Args:
        workers: For the whole machine; 0 and less are returned as they are.
        launcher: ``none`` for a single process, or one of MMEngine's.
    """
    if workers <= 0 or launcher == 'none':
        return workers
    return max(1, workers // int(os.environ.get(LOCAL_COUNTS[launcher], 1)))
