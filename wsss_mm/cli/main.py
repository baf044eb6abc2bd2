"""The command `wsss`: it finds a sub-command and runs it.

A sub-command NAME is a module `wsss_mm.cli.NAME` with a one-line ``DESCRIPTION``,
``add_arguments(parser)`` and ``run(args)``, which returns an exit status or nothing;
its docstring is what ``--help`` says. Only the module that was asked for is imported.
"""

import argparse
import difflib
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from wsss_mm import __version__
from wsss_mm.cli.messages import (
    DEBUG,
    hide_debug_prints,
    readable_errors,
    saying_how_to_go_on,
)
from wsss_mm.utils.memory import use_huge_pages
from wsss_mm.workflow.child import end_with_parent, signals_as_exit

# After SIGTERM: enough to remove what was being written.
SECONDS_TO_END = 5.0
# What the modules call themselves: to read it there would mean to import them all.
DESCRIPTIONS = {
    'train': 'train a CAM network, an affinity network or a segmenter',
    'test': 'evaluate a checkpoint on the test split of its config',
    'cams': 'write CAM files and pseudo masks of a dataset',
    'refine': 'refine CAM files into pseudo masks',
    'eval': 'score a folder of masks or CAM files against true masks',
    'run': 'run all the stages of a method: from tags to a segmenter',
    'predict': 'CAMs and masks of single images',
    'masks': 'masks from annotations that a person corrected',
    'new': 'start a project of your own',
    'demo': 'show methods from tags to a report on generated images',
    'doctor': 'check the installation and a dataset, and say how to put them right',
    'convert': 'rename released weights for our models, or ours for the released code',
    'verify': 'evaluate again what a metafile states',
    'report': 'write the HTML report of what `wsss run` made',
    'data': 'prepare a dataset',
}


def available() -> dict[str, str]:
    """List the sub-commands that are installed and what they do."""
    here = Path(__file__).parent
    return {
        name: text
        for name, text in DESCRIPTIONS.items()
        if (here / f'{name}.py').is_file()
    }


def run_command(
    name: str, argv: Sequence[str] | None = None, *, prog: str | None = None
) -> int:
    """Read the arguments of a sub-command and run it.

    Args:
        name: Which one.
        argv: Its arguments; those of the process if None.
        prog: What it is called in messages; the name of the script if None.

    Returns:
        The exit status.
    """
    use_huge_pages()
    # Pure-Python mmcv warns at every start about an operator that nothing here uses.
    warnings.filterwarnings('ignore', 'Fail to import ``Multi', UserWarning)
    hide_debug_prints()
    module = importlib.import_module(f'wsss_mm.cli.{name}')
    parser = argparse.ArgumentParser(prog=prog, description=module.__doc__)
    module.add_arguments(parser)
    parser.add_argument(
        '--debug',
        action='store_true',
        help=f'show the traceback of every error, as {DEBUG}=1 in the environment does',
    )
    args = parser.parse_args(argv)
    if args.debug:
        os.environ[DEBUG] = '1'
    # A stage of a pipeline ends with it, however that ends.
    end_with_parent()
    going_on = saying_how_to_go_on(name)
    with readable_errors(), going_on, signals_as_exit(within=SECONDS_TO_END):
        return module.run(args) or 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run `wsss` and return its exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    commands = available()
    if given and given[0] in commands:
        return run_command(given[0], given[1:], prog=f'wsss {given[0]}')
    listed = '\n'.join(f'  {name:8} {text}' for name, text in commands.items())
    parser = argparse.ArgumentParser(
        prog='wsss',
        usage='wsss COMMAND [arguments]',
        description='Weakly-supervised semantic segmentation on MMSegmentation.',
        epilog=f'commands:\n{listed}\n\nwsss COMMAND --help explains one.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f'wsss_mm {__version__}'
    parser.add_argument('--version', action='version', version=version)
    parser.add_argument('command', nargs='?', help=argparse.SUPPRESS)
    args, _ = parser.parse_known_args(given)
    if args.command is None:
        parser.error('name a command; wsss --help lists them')
    near = difflib.get_close_matches(args.command, commands, n=1)
    nearest = f'did you mean {near[0]}? ' if near else ''
    parser.error(f'no command {args.command!r}; {nearest}wsss --help lists them')
