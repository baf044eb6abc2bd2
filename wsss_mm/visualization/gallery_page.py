"""The gallery as part of a page: its data, its controls and the key of colours."""

import base64
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from wsss_mm.io.atomic import atomic_write

from .gallery import GalleryImage
from .layers import shown_size

# So many images go into the page itself; a megabyte for about 25 of them.
INLINE = 60
PICTURE = re.compile(r'\d{6}_\d{2}\.(jpg|png)')
REMARKS = {
    'any': 'with a remark',
    'missing': 'tagged class missing in a mask',
    'untagged': 'class in a mask, not tagged',
    'empty': 'empty mask',
    'full': 'mask nearly full',
}
ORDERS = {
    'worst': 'worst first',
    'best': 'best first',
    'first': 'to look at first',
    'uncertain': 'least certain first',
    'name': 'by name',
}


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The images of a report.

    Attributes:
        images: In the order in which they matter; they may be drawn as they are asked.
        classes: Names of all K classes, background first.
        colours: RGB colour of each class.
        threshold: Score of the background, which is outlined in the CAMs.
        total: How many images the run has, those that are not shown included.
        inline: How many images go into the page itself.
    """

    images: Iterable[GalleryImage]
    classes: Sequence[str]
    colours: Sequence[Sequence[int]]
    total: int
    threshold: float | None = None
    inline: int = INLINE


def gallery_section(gallery: Gallery, page: Path) -> str:
    """Write the section of the gallery, and the pictures that lie beside the page.

    Args:
        gallery: What to show.
        page: The HTML file, whose name the folder of the pictures takes.

    Raises:
        InputError: If a picture cannot be drawn or written.
    """
    folder = page.with_name(f'{page.stem}_pictures')
    _remove_pictures(folder)
    images = []
    for number, image in enumerate(gallery.images):
        place = None if number < gallery.inline else folder
        images.append(_image_data(image, gallery.classes, number, place))
    data = json.dumps(dict(images=images), separators=(',', ':'), ensure_ascii=False)
    # Within a script only these could end it or begin a comment.
    data = data.replace('<', '\\u003c').replace('\u2028', '\\u2028')
    left = len(images) - gallery.inline
    notes = []
    if len(images) < gallery.total:
        notes.append(
            f'{len(images)} of {gallery.total} images are shown, those first that '
            'matter most; wsss report --pictures N shows more.'
        )
    if left > 0:
        notes.append(f'The pictures of {left} of them lie in {folder.name}; keep it.')
    return (
        '<section id="gallery" aria-labelledby="images">'
        '<h2 id="images">Images</h2>'
        '<noscript><p>The gallery needs JavaScript.</p></noscript>'
        + ''.join(f'<p class="note">{escape(note)}</p>' for note in notes)
        + _controls(images, gallery)
        + _key(gallery)
        + '<p id="count" role="status" tabindex="-1"></p><div id="cards"></div>'
        '<nav class="pager" id="pager" aria-label="Pages of images">'
        '<button type="button" id="previous">Previous page</button>'
        '<span id="page"></span>'
        '<button type="button" id="next">Next page</button></nav>'
        f'<script type="application/json" id="gallery-data">{data}</script></section>'
    )


def viewer_dialog() -> str:
    """Write the dialog that enlarges an image, with the slider over its layer."""
    return (
        '<dialog id="viewer" aria-labelledby="viewer-name"><div class="head">'
        '<h2 id="viewer-name"></h2>'
        '<button type="button" id="close">Close</button></div>'
        '<div id="picture"></div>'
        '<label class="slide" id="slide">Image'
        '<input type="range" id="share" min="0" max="100" value="100" '
        'aria-label="How far the layer covers the image, from the left">layer</label>'
        '<div class="tools" id="layers" role="group" aria-label="Layers"></div>'
        '<p id="words"></p><div class="tools">'
        '<button type="button" id="earlier">Previous image</button>'
        '<button type="button" id="later">Next image</button></div></dialog>'
    )


def _remove_pictures(folder: Path) -> None:
    """Remove the pictures of an earlier report, and nothing else."""
    if folder.is_dir():
        for file in folder.iterdir():
            if PICTURE.fullmatch(file.name):
                file.unlink()


def _image_data(
    image: GalleryImage, classes: Sequence[str], number: int, folder: Path | None
) -> dict[str, Any]:
    """Gather what the script needs of an image."""
    files, seen = image.files, image.impression
    tags = files.tags or ()
    about = [files.group] if files.group else []
    if seen.miou is not None:
        about.append(f'IoU of its classes {seen.miou:.1f} %')
    if seen.margin is not None:
        about.append(f'margin of the scores {seen.margin:.2f}')
    height, width = _size_of(image.photo)
    return dict(
        name=files.name,
        group=files.group,
        tags=[classes[i + 1] for i in tags],
        classes=sorted({i + 1 for i in (*tags, *seen.classes)}),
        miou=seen.miou,
        margin=seen.margin,
        remarks=[list(remark) for remark in seen.remarks],
        about=', '.join(about),
        width=width,
        height=height,
        photo=_source(image.photo, f'{number:06d}_00.jpg', folder),
        layers=[
            dict(
                caption=layer.caption,
                text=layer.text,
                src=None
                if layer.png is None
                else _source(layer.png, f'{number:06d}_{i:02d}.png', folder),
            )
            for i, layer in enumerate(image.layers)
        ],
    )


def _size_of(photo: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(photo)) as picture:
        return shown_size(picture.height, picture.width)


def _source(content: bytes, name: str, folder: Path | None) -> str:
    """Give the address of a picture: its bytes, or a file beside the page."""
    if folder is None:
        kind = 'jpeg' if name.endswith('.jpg') else 'png'
        return f'data:image/{kind};base64,{base64.b64encode(content).decode()}'
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / name) as temporary:
        Path(temporary).write_bytes(content)
    return f'{folder.name}/{name}'


def _controls(images: Sequence[dict[str, Any]], gallery: Gallery) -> str:
    used = sorted({index for image in images for index in image['classes']})
    classes = {'': 'all', **{str(i): gallery.classes[i] for i in used}}
    rated = any(image['miou'] is not None for image in images)
    margins = any(image['margin'] is not None for image in images)
    kinds = {kind for image in images for kind, _ in image['remarks']}
    orders = {
        key: text
        for key, text in ORDERS.items()
        if (rated or key not in ('worst', 'best'))
        and (margins or key != 'uncertain')
        and (kinds or key != 'first')
    }
    groups = sorted({image['group'] for image in images} - {''})
    parts = [_select('by-class', 'Class', classes), _select('order', 'Order', orders)]
    if kinds:
        shown = {key: text for key, text in REMARKS.items() if key in {'any', *kinds}}
        parts.append(_select('remark', 'Show', {'': 'all', **shown}))
    if len(groups) > 1:
        options = {'': 'all', **{group: group for group in groups}}
        parts.append(_select('group', 'Images', options))
    parts.append(
        '<label>Name contains<input type="search" id="name" autocomplete="off"></label>'
    )
    return f'<div class="controls">{"".join(parts)}</div>'


def _select(name: str, label: str, options: dict[str, str]) -> str:
    lines = ''.join(
        f'<option value="{escape(key)}">{escape(text)}</option>'
        for key, text in options.items()
    )
    return f'<label>{label}<select id="{name}">{lines}</select></label>'


def _key(gallery: Gallery) -> str:
    lines = ''.join(
        '<li><i style="background:rgb({},{},{})"></i>{}</li>'.format(
            *colour, escape(name)
        )
        for name, colour in list(zip(gallery.classes, gallery.colours))[1:]
    )
    line = ''
    if gallery.threshold is not None:
        line = f'<li>white line in a CAM: background, {gallery.threshold:.2f}</li>'
    return (
        f'<ul class="key" aria-label="Key of colours">{lines}'
        '<li><i style="background:#bebebe"></i>ignored</li>'
        f'<li><i class="heat"></i>CAM from 0 to 1</li>{line}</ul>'
    )
