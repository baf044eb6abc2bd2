"""Check that the running Python has what `make demo` needs.

With `--tests`, what `make test` needs too. Prints what is missing and how to get it;
tools/doctor.py says all there is to say.
"""

import contextlib
import importlib
import importlib.metadata
import io
import shlex
import sys
import warnings

RUNTIME = ('torch', 'torchvision', 'numpy', 'scipy', 'PIL', 'matplotlib', 'prettytable')
MM = ('cv2', 'mmengine', 'mmcv', 'mmseg', 'mmpretrain')
TESTS = ('pytest', 'xdist', 'ruff', 'mypy')
PACKAGES = ['mmengine', 'mmcv', 'mmsegmentation', 'mmpretrain']
FAMILIES = {
    'onedl': [f'onedl-{name}' for name in PACKAGES],
    'OpenMMLab': PACKAGES,
}
PIP = f'{shlex.quote(sys.executable)} -m pip'
MEND = {
    'runtime': f'{PIP} install -r requirements/runtime.txt',
    'mminstall': (
        f'{PIP} install -r requirements/mminstall.txt'
        '  (or the classic stack: see requirements/openmmlab.txt)'
    ),
    'tests': f'{PIP} install -r requirements/tests.txt',
    'crf': f'{PIP} install -r requirements/crf.txt'
    '  (needs a C++ compiler and python3-dev)',
}


class Report:
    """Collect findings and print them; only what is wrong if `quiet`."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.broken = 0
        self.margin = 'env: ' if quiet else '  '
        self.stream = sys.stderr if quiet else sys.stdout

    def fact(self, text: str) -> None:
        """Say what is in order."""
        if not self.quiet:
            print(f'  {text}')

    def section(self, title: str) -> None:
        """Say what comes next."""
        if not self.quiet:
            print(title)

    def note(self, text: str, mend: str) -> None:
        """Say what could be better and does no harm."""
        print(f'{self.margin}note: {text}\n    mend: {mend}', file=self.stream)

    def wrong(self, text: str, mend: str) -> None:
        """Say what is broken."""
        self.broken += 1
        print(f'{self.margin}BROKEN: {text}\n    mend: {mend}', file=self.stream)


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
    groups = [('runtime', RUNTIME), ('mminstall', MM)]
    if tests:
        groups.append(('tests', TESTS))
    found = {}
    for group, modules in groups:
        failures = [text for text in map(failure, modules) if text]
        found[group] = not failures
        if failures:
            lines = '\n    '.join(text.splitlines()[0] for text in failures)
            report.wrong(f'cannot import\n    {lines}', MEND[group])
    check_family(report)
    if found['runtime']:
        tell_device(report)
    absent = failure('pydensecrf.densecrf')
    if absent:
        report.note(f'no dense CRF ({absent})', MEND['crf'])
    else:
        report.fact(f'dense CRF: pydensecrf2 {version("pydensecrf2") or "?"}')


def check_family(report: Report) -> None:
    """Tell which family of MM packages is installed; two in one place is broken."""
    versions = {
        family: {name: version(name) for name in names if version(name)}
        for family, names in FAMILIES.items()
    }
    present = {family: found for family, found in versions.items() if found}
    if len(present) > 1:
        names = ' '.join(name for found in present.values() for name in found)
        report.wrong(
            f'two distributions of the same modules are installed: {names}',
            f'{PIP} uninstall -y {names} && {MEND["mminstall"]}',
        )
        return
    for family, found in present.items():
        listed = ', '.join(f'{name} {number}' for name, number in found.items())
        report.fact(f'{family} distribution: {listed}')


def tell_device(report: Report) -> None:
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


def main() -> int:
    """Print what is missing and how to get it; return the exit code."""
    report = Report(quiet=True)
    check_environment(report, tests='--tests' in sys.argv[1:])
    return int(report.broken > 0)


if __name__ == '__main__':
    sys.exit(main())
