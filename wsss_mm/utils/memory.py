"""How this process asks for memory, and treats what it has freed."""

import ctypes
import os
import platform

# <malloc.h>
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Keep freed memory for the next step instead of giving it back to the system.

    On a CPU the tensors of each training step are returned and asked for again, and
    the system fills every page with zeros in between. Values do not change.

    Returns:
        Whether it took effect: the C library must be glibc.

    Note:
        The process stays as large as it was at its peak until it ends. For training on
        crops of one size; predicting images of many sizes leaves gaps that none fills,
        and the process grows.
    """
    if platform.libc_ver()[0] != 'glibc':
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(M_MMAP_MAX, 0) & library.mallopt(M_TRIM_THRESHOLD, -1))


def use_huge_pages() -> None:
    """Let PyTorch ask for huge pages for tensors on the CPU, from its first one on.

    Linux fills new memory with zeros page by page: in prediction, whose tensors change
    their size with every image and scale, as much work as the network itself. Values
    do not change. It is PyTorch's own switch, ``THP_MEM_ALLOC_ENABLE``, which it reads
    once; a value that the environment already has is kept.

    Note:
        Only where the system offers them to who asks
        (``/sys/kernel/mm/transparent_hugepage/enabled`` is ``madvise`` or ``always``).
    """
    os.environ.setdefault('THP_MEM_ALLOC_ENABLE', '1')
