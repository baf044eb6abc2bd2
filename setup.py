"""Package wsss_mm: the version and the requirements are read from their files."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# What the package needs besides its modules; in a wheel under wsss_mm/.mim, where
# OpenMMLab's `mim` looks for it.
SHIPPED = ('configs', 'tools', 'model-index.yml')


def read_version() -> str:
    """Read `__version__` without importing the package."""
    text = (ROOT / 'wsss_mm' / '__init__.py').read_text()
    match = re.search(r"^__version__ = '([^']+)'$", text, re.MULTILINE)
    if match is None:
        raise ValueError('wsss_mm/__init__.py has no line __version__ = ...')
    return match.group(1)


def read_requirements(name: str) -> list[str]:
    """Read the requirements of `requirements/<name>.txt`."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and line[0] != '#']


class BuildWithConfigs(build_py):
    """Put configs, tools and the model index beside the modules.

    An editable installation finds them in the checkout; links are for `mim`.
    """

    def run(self) -> None:
        """Build the modules, then copy or link the rest."""
        super().run()
        base = ROOT if self.editable_mode else Path(self.build_lib)
        target = base / 'wsss_mm' / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in SHIPPED:
            source, place = ROOT / name, target / name
            if self.editable_mode:
                place.symlink_to(Path('..', '..', name))
            elif source.is_dir():
                ignore = shutil.ignore_patterns('__pycache__', '*.pyc')
                shutil.copytree(source, place, ignore=ignore)
            else:
                shutil.copy2(source, place)


setup(
    name='wsss_mm',
    version=read_version(),
    description='Weakly-supervised semantic segmentation on MMSegmentation',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['wsss_mm', 'wsss_mm.*']),
    package_data={'wsss_mm': ['py.typed', 'visualization/report.*']},
    entry_points={'console_scripts': ['wsss=wsss_mm.cli.main:main']},
    cmdclass={'build_py': BuildWithConfigs},
    install_requires=read_requirements('runtime'),
    extras_require={
        name: read_requirements(name)
        for name in ('mminstall', 'crf', 'weights', 'tests', 'docs')
    },
)
