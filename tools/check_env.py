"""Check that the running Python has what `make demo` needs.

With `--tests`, what `make test` needs too.
"""

import importlib
import sys
import warnings

RUNTIME = ('torch', 'torchvision', 'numpy', 'scipy', 'PIL', 'matplotlib', 'prettytable')
MM = ('cv2', 'mmengine', 'mmcv', 'mmseg', 'mmpretrain')
TESTS = ('pytest', 'xdist', 'ruff', 'mypy')
MEND = {
    'runtime': 'pip install -r requirements/runtime.txt',
    'mminstall': (
        'pip install -r requirements/mminstall.txt\n'
        '  (or the classic stack: see requirements/openmmlab.txt)'
    ),
    'tests': 'pip install -r requirements/tests.txt',
    'crf': 'pip install -r requirements/crf.txt (needs a C++ compiler, python3-dev)',
}


def failure(module: str) -> str | None:
    """Import a module and return what went wrong, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            importlib.import_module(module)
        except Exception as error:  # a broken install may raise anything
            return f'{module}: {type(error).__name__}: {error}'
    return None


def main() -> int:
    """Print what is missing and how to get it; return the exit code."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        print(
            f'env: {sys.executable} is Python {sys.version.split()[0]}; '
            'wsss_mm is tested on 3.10 to 3.12',
            file=sys.stderr,
        )
        return 1
    broken = False
    groups = [('runtime', RUNTIME), ('mminstall', MM)]
    if '--tests' in sys.argv[1:]:
        groups.append(('tests', TESTS))
    for group, modules in groups:
        failures = [text for text in map(failure, modules) if text]
        if failures:
            broken = True
            print(f'env: {sys.executable} cannot import', file=sys.stderr)
            print('  ' + '\n  '.join(failures), file=sys.stderr)
            print(f'  mend: {MEND[group]}', file=sys.stderr)
    absent = failure('pydensecrf.densecrf')
    if absent:  # optional: no reason to fail
        print(f'env: no dense CRF: {absent}\n  mend: {MEND["crf"]}', file=sys.stderr)
    return int(broken)


if __name__ == '__main__':
    sys.exit(main())
