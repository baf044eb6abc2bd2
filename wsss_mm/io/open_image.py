"""Open image files of anybody: formats and sizes are looked at before pixels."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from wsss_mm.io.limits import MOST_IMAGE_BYTES, MOST_PIXELS, check_file
from wsss_mm.io.wording import first_line
from wsss_mm.utils.errors import InputError

# Others need programs of the system (EPS) or have no place among photographs. JPEG
# stands for the files of several pictures, too, that cameras write (MPO).
FORMATS = ('JPEG', 'PNG', 'BMP', 'DIB', 'WEBP', 'TIFF', 'GIF', 'PPM')


@contextmanager
def open_image(
    path: str | Path, *, kind: str, missing: str, remedy: str
) -> Iterator[Image.Image]:
    """Open an image; whatever a decoder says of its contents names the file.

    Args:
        path: The file, in one of `FORMATS`.
        kind: What it should be, for messages.
        missing: What to do where there is no such file.
        remedy: What to do where it cannot be read.

    Raises:
        InputError: If the file is missing, too large, or the block cannot read it.
    """
    try:
        check_file(path, most=MOST_IMAGE_BYTES, kind=kind)
        with Image.open(path, formats=FORMATS) as image:
            check_pixels(path, image)
            yield image
    except InputError:
        raise
    except FileNotFoundError as error:
        dangling = ' (a link to a file that is not there)' * Path(path).is_symlink()
        raise InputError(f'no {kind} {path}{dangling}; {missing}') from error
    # Decoders meet damage with errors of nearly every type.
    except Exception as error:
        raise InputError(
            f'cannot read {kind} {path}: {first_line(error)}; {remedy}'
        ) from error


def check_pixels(path: str | Path, image: Image.Image) -> None:
    """Refuse an image of more pixels than memory is kept for."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise InputError(
            f'{path} has {width}x{height} pixels, more than {MOST_PIXELS:,}; make it '
            'smaller'
        )
