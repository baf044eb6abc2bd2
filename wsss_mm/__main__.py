"""Run `wsss` as ``python -m wsss_mm``."""

import sys

from wsss_mm.cli.main import main

if __name__ == '__main__':
    sys.exit(main())
