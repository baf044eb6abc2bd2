"""Run a whole method: `wsss run` under its old name."""

import sys
from functools import partial

from wsss_mm.cli.main import run_command

main = partial(run_command, 'run')

if __name__ == '__main__':
    sys.exit(main())
