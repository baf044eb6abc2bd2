"""Whether this Python has what wsss_mm needs; asked without importing any of that."""

import contextlib
import importlib
import importlib.metadata
import io
import shlex
import sys
import warnings
from collections.abc import Callable

from wsss_mm import __version__
from wsss_mm.workflow.config_files import PACKAGE, is_checkout, near, shipped

RUNTIME = ('torch', 'torchvision', 'numpy', 'scipy', 'PIL', 'matplotlib', 'prettytable')
MM = ('cv2', 'mmengine', 'mmcv', 'mmseg', 'mmpretrain')
TESTS = ('pytest', 'xdist', 'ruff', 'mypy')
PACKAGES = ['mmengine', 'mmcv', 'mmsegmentation', 'mmpretrain']
FAMILIES = {
    'onedl': [f'onedl-{name}' for name in PACKAGES],
    'OpenMMLab': PACKAGES,
}
PIP = f'{shlex.quote(sys.executable)} -m pip'
HINTS = {
    'mminstall': '  (or the classic stack: see requirements/openmmlab.txt)',
    'crf': '  (needs a C++ compiler and python3-dev)',
}


class Report:
    """Findings, shown as they come; only what is wrong or could be better if quiet.

    Attributes:
        broken: How many things are broken.
    """

    def __init__(self, show: Callable[[str], object], *, quiet: bool) -> None:
        self.show = show
        self.quiet = quiet
        self.broken = 0
        self.margin = 'env: ' if quiet else '  '

    def fact(self, text: str) -> None:
        """Say what is in order."""
        if not self.quiet:
            self.show(f'  {text}')

    def section(self, title: str) -> None:
        """Say what comes next."""
        if not self.quiet:
            self.show(title)

    def note(self, text: str, fix: str) -> None:
        """Say what could be better and does no harm."""
        self.show(f'{self.margin}note: {text}\n    fix: {fix}')

    def wrong(self, text: str, fix: str) -> None:
        """Say what is broken."""
        self.broken += 1
        self.show(f'{self.margin}BROKEN: {text}\n    fix: {fix}')


def fix_of(group: str) -> str:
    """Give the command that installs a group of packages.

    Args:
        group: Name of a file in ``requirements/``, or of an extra of the wheel.
    """
    if is_checkout():
        file = near(PACKAGE.parent / 'requirements' / f'{group}.txt')
        command = f'{PIP} install -r {shlex.quote(file)}'
    else:
        extra = '' if group == 'runtime' else f'[{group}]'
        command = f'{PIP} install {shlex.quote(f"wsss_mm{extra}")}'
    return command + HINTS.get(group, '')


def failure(module: str) -> str | None:
    """Import a module and return what went wrong, or None."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')
        try:
            importlib.import_module(module)
        except Exception as error:  # a broken install may raise anything
            return f'{module}: {type(error).__name__}: {error}'
    return None


def version(distribution: str) -> str | None:
    """Give the version of an installed distribution, None if it is not there."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_environment(report: Report, *, tests: bool) -> None:
    """Check Python, the packages, the stack, the device and the CRF."""
    report.section('environment')
    number = sys.version.split()[0]
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        report.fact(f'Python {number}, {sys.executable}')
    else:
        report.wrong(
            f'{sys.executable} is Python {number}; wsss_mm is tested on 3.10 to 3.12',
            'make env  (or name another one: make ... PYTHON=/path/to/python)',
        )
        return
    report.fact(f'wsss_mm {__version__} in {PACKAGE}, configs in {shipped("configs")}')
    groups = [('runtime', RUNTIME), ('mminstall', MM)]
    if tests:
        groups.append(('tests', TESTS))
    found = {}
    for group, modules in groups:
        failures = [text for text in map(failure, modules) if text]
        found[group] = not failures
        if failures:
            lines = '\n    '.join(text.splitlines()[0] for text in failures)
            report.wrong(f'cannot import\n    {lines}', fix_of(group))
    check_family(report)
    if found['runtime']:
        report_device(report)
    absent = failure('pydensecrf.densecrf')
    if absent:
        report.note(f'no dense CRF ({absent})', fix_of('crf'))
    else:
        report.fact(f'dense CRF: pydensecrf2 {version("pydensecrf2") or "?"}')


def check_family(report: Report) -> None:
    """Report which family of MM packages is installed; two in one place is broken."""
    versions = {
        family: {name: version(name) for name in names if version(name)}
        for family, names in FAMILIES.items()
    }
    present = {family: found for family, found in versions.items() if found}
    if len(present) > 1:
        names = ' '.join(name for found in present.values() for name in found)
        report.wrong(
            f'two distributions of the same modules are installed: {names}',
            f'{PIP} uninstall -y {names} && {fix_of("mminstall")}',
        )
        return
    for family, found in present.items():
        listed = ', '.join(f'{name} {number}' for name, number in found.items())
        report.fact(f'{family} distribution: {listed}')


def report_device(report: Report) -> None:
    """Say which torch there is and what it computes on."""
    import torch

    report.fact(f'torch {torch.__version__}, torchvision {version("torchvision")}')
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        names = ', '.join(torch.cuda.get_device_name(i) for i in range(count))
        report.fact(f'computes on {count} GPU(s): {names}; processes talk through nccl')
        return
    built = torch.version.cuda
    reason = (
        f'torch is built for CUDA {built}, but sees no GPU' if built else 'CPU build'
    )
    report.fact(f'computes on the CPU ({reason}); processes talk through gloo')
