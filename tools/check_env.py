"""Check that the running Python has what `make demo` needs.

With `--tests`, what `make test` needs too. Prints what is missing and how to get it;
`wsss doctor` says all there is to say.
"""

import sys
from functools import partial
from pathlib import Path


def main() -> int:
    """Print what is missing and how to get it; return the exit status."""
    # Where wsss_mm is not installed, as it may be: the checkout beside this file.
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    from wsss_mm.workflow.environment import Report, check_environment

    report = Report(partial(print, file=sys.stderr), quiet=True)
    check_environment(report, tests='--tests' in sys.argv[1:])
    return int(report.broken > 0)


if __name__ == '__main__':
    sys.exit(main())
