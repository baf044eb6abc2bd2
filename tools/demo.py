"""Show methods end to end on generated images: `wsss demo` under its old name."""

import sys

from wsss_mm.cli.main import run_command

if __name__ == '__main__':
    sys.exit(run_command('demo'))
