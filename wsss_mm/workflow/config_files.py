"""Where the configs and tools that come with the package are, and their short names."""

import difflib
import shlex
from pathlib import Path

from wsss_mm.utils.errors import InputError

PACKAGE = Path(__file__).resolve().parents[1]
SHOWN = 4


def is_checkout() -> bool:
    """Say whether the package is imported from a checkout, not from a wheel."""
    return (PACKAGE.parent / 'setup.py').is_file()


def shipped(name: str) -> Path:
    """Locate what comes with the package beside its modules.

    Args:
        name: ``configs``, ``tools`` or ``model-index.yml``.

    Returns:
        Its absolute path: that of the checkout which the package is imported from, or
        else in ``wsss_mm/.mim``, where a wheel has it.
    """
    return (PACKAGE.parent if is_checkout() else PACKAGE / '.mim') / name


def find_config(name: str | Path) -> Path:
    """Find a config file by its path, or by its name among those that we ship.

    Args:
        name: Path of a file, which is taken first; or, of a config of ours,
            ``configs/seam/seam_r38_voc.py``, ``seam/seam_r38_voc.py`` or
            ``seam_r38_voc``, from any folder.

    Returns:
        The path: a given one as it is, else an absolute one.

    Raises:
        InputError: If there is no such file; the message has the nearest names.
    """
    path = Path(name)
    if path.is_file():
        return path
    configs = shipped('configs')
    if path.is_dir():
        raise InputError(f'{path}: is a folder; name a config file in it')
    parts = path.parts[1:] if path.parts[:1] == ('configs',) else path.parts
    if parts and not path.is_absolute() and '..' not in parts:
        below = configs.joinpath(*parts)
        for option in (below, below.with_name(f'{path.name}.py')):
            if option.is_file():
                return option
        found = [one for one in list_configs() if path.name in (one.stem, one.name)]
        if len(parts) == 1 and len(found) == 1:
            return found[0]
    near = difflib.get_close_matches(
        path.stem, [one.stem for one in list_configs()], n=SHOWN, cutoff=0.7
    )
    nearest = f'; nearest are {", ".join(near)}' if near else ''
    raise InputError(
        f'{path}: no such config file{nearest}; those we ship are in {configs}'
    )


def list_configs() -> list[Path]:
    """List the configs that we ship, without the parts that they are made of."""
    return sorted(
        path
        for path in shipped('configs').glob('*/*.py')
        if path.parent.name != '_base_'
    )


def near(path: Path) -> str:
    """Write a path of this project's as short as the current folder allows."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def tool_command(tool: str) -> str:
    """Write the command of a tool so that it works in the current folder.

    Args:
        tool: Path below ``tools/``, without arguments.
    """
    return shlex.join(['python', near(shipped('tools') / tool)])
