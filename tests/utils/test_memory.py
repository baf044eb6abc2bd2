import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from wsss_mm.utils.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.empty(16 * 2**20).fill_(1)  # 64 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = faults()
print(keep_freed_memory())
faults()
print(given_back, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='needs glibc')
def test_freed_memory_is_taken_again(root):
    # A process of its own: there is no way back.
    done = subprocess.run(
        [sys.executable, '-c', FAULTS],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    took, given_back, kept = done.stdout.split()
    assert took == 'True'
    # Whatever the size of a page, each block is mapped again; once kept, none is.
    assert int(given_back) >= 8
    assert int(kept) < int(given_back) / 4


def test_other_libraries_are_left_alone(monkeypatch):
    from wsss_mm.utils import memory

    monkeypatch.setattr(memory.platform, 'libc_ver', lambda: ('', ''))
    monkeypatch.setattr(memory.ctypes, 'CDLL', None)
    assert not memory.keep_freed_memory()
