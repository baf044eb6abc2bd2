"""Score masks or CAM files: `wsss eval` under its old name."""

import sys
from functools import partial

from wsss_mm.cli.main import run_command

main = partial(run_command, 'eval')

if __name__ == '__main__':
    sys.exit(main())
