"""What the benchmarks share: peak memory, medians with their spread."""

import resource
import statistics
import sys
from pathlib import Path

MIB = 2**20


def summary(rounds: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Give median and spread of each phase over the rounds."""
    table = {}
    for phase in rounds[0]:
        values = [one[phase] for one in rounds]
        table[phase] = {
            'median': statistics.median(values),
            'min': min(values),
            'max': max(values),
        }
    return table


def reset_peak() -> int:
    """Forget the peak so far and return what is resident now, in bytes."""
    clear = Path('/proc/self/clear_refs')
    if clear.exists():
        clear.write_text('5')
        return int(Path('/proc/self/statm').read_text().split()[1]) * (
            resource.getpagesize()
        )
    return peak_bytes()


def peak_bytes() -> int:
    """Return the peak of the resident set, in bytes."""
    status = Path('/proc/self/status')
    if status.exists():
        # ru_maxrss would start from the parent's size after fork and exec.
        for line in status.read_text().splitlines():
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
