"""Package wsss_mm: the version and the requirements are read from their files."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


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


setup(
    name='wsss_mm',
    version=read_version(),
    description='Weakly-supervised semantic segmentation on MMSegmentation',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['wsss_mm', 'wsss_mm.*']),
    install_requires=read_requirements('runtime'),
    extras_require={
        name: read_requirements(name) for name in ('mminstall', 'crf', 'tests', 'docs')
    },
)
