"""The images of a report: which to show, in which order, and what strikes in them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from wsss_mm.utils.parallel import map_ordered
from wsss_mm.visualization import (
    Finding,
    Gallery,
    GalleryImage,
    ImageFiles,
    Impression,
    draw_image,
    key_colours,
    look_at,
)

Seen = tuple[ImageFiles, Impression]
SUMMARIES = {
    'missing': 'lack a class in a mask that they are tagged with',
    'untagged': 'show a class in a mask that they are not tagged with',
    'empty': 'have an empty mask',
    'full': 'have a mask that is foreground nearly everywhere',
}


def make_gallery(
    files: Sequence[ImageFiles],
    classes: Sequence[str],
    *,
    threshold: float | None = None,
    pictures: int | None = None,
    workers: int = 0,
) -> tuple[Gallery, list[Finding]]:
    """Look at all images, choose those to show, and sum up what strikes.

    Args:
        files: Of each image.
        classes: Names of all K classes, background first.
        threshold: Score of the background in the CAMs.
        pictures: How many to show; all if None.
        workers: Processes that read and draw, 0 for none.

    Returns:
        The gallery, whose images are drawn when they are asked for, and the findings.

    Raises:
        InputError: If a file is missing or damaged.
    """
    look = partial(look_at, classes=classes, threshold=threshold or 0.0)
    seen = list(zip(files, map_ordered(look, files, workers)))
    shown = choose_shown(seen, pictures)
    gallery = Gallery(
        images=draw_all(shown, classes, threshold=threshold, workers=workers),
        classes=classes,
        colours=key_colours(len(classes)),
        threshold=threshold,
        total=len(files),
    )
    return gallery, list_findings(seen, classes)


def choose_shown(seen: Sequence[Seen], pictures: int | None) -> list[Seen]:
    """Put the images that matter most first, and keep so many.

    These are the worst ones by true masks and the best, or else those with remarks, and
    the least certain, in turn.
    """

    def worst(one: Seen) -> float:
        return 1e9 if one[1].miou is None else one[1].miou

    def best(one: Seen) -> float:
        return 1e9 if one[1].miou is None else -one[1].miou

    def uncertain(one: Seen) -> float:
        return 1e9 if one[1].margin is None else one[1].margin

    def first(one: Seen) -> tuple[int, float]:
        return -len(one[1].remarks), uncertain(one)

    rated = any(impression.miou is not None for _, impression in seen)
    orders = [
        sorted(seen, key=key)
        for key in ((worst, uncertain, best) if rated else (first, uncertain))
    ]
    in_turn = [one for row in zip(*orders) for one in row]
    unique = list({id(one[0]): one for one in in_turn}.values())
    return unique if pictures is None else unique[:pictures]


def draw_one(
    one: Seen, classes: Sequence[str], threshold: float | None
) -> GalleryImage:
    """Draw one image, in a worker process."""
    return draw_image(
        *one, classes=classes, colours=key_colours(len(classes)), threshold=threshold
    )


def draw_all(
    shown: Sequence[Seen],
    classes: Sequence[str],
    *,
    threshold: float | None,
    workers: int,
) -> Iterator[GalleryImage]:
    """Draw images in their order."""
    draw = partial(draw_one, classes=classes, threshold=threshold)
    yield from map_ordered(draw, shown, workers)


def list_findings(seen: Sequence[Seen], classes: Sequence[str]) -> list[Finding]:
    """Sum up what a person should look at: classes first, then kinds of masks."""
    findings = []
    known = [one for one in seen if one[0].tags is not None]
    tagged = Counter(i + 1 for files, _ in known for i in files.tags or ())
    found = Counter(i + 1 for _, impression in seen for i in impression.classes)
    masked = any(files.masks for files, _ in seen)
    for index, name in enumerate(classes):
        if index == 0 or not known:
            continue
        if not tagged[index]:
            findings.append(Finding(text=f'No image is tagged {name}.'))
        elif masked and not found[index]:
            findings.append(
                Finding(
                    text=f'{name} is tagged on {tagged[index]} images and in no mask.',
                    class_index=index,
                )
            )
    kinds = Counter(
        kind
        for _, impression in seen
        for kind in {kind for kind, _ in impression.remarks}
    )
    findings += [
        Finding(text=f'{kinds[kind]} of {len(seen)} images {text}.', remark=kind)
        for kind, text in SUMMARIES.items()
        if kinds[kind]
    ]
    return findings
