"""`wsss doctor` without an installation: all that is not there is a finding."""

import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Check what was asked for; return the exit status."""
    # Where wsss_mm is not installed: the checkout beside this file.
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    from wsss_mm.cli.main import run_command

    return run_command('doctor', argv)


if __name__ == '__main__':
    sys.exit(main())
