"""CAM files, pseudo masks and refined masks: `wsss cams` and `wsss refine` in one."""

import sys
from functools import partial

from wsss_mm.cli.main import run_command

main = partial(run_command, 'gen_pseudo')

if __name__ == '__main__':
    sys.exit(main())
