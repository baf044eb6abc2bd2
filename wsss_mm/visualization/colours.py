"""Colours that tell classes apart on photographs and on light and dark pages."""

import colorsys
from collections.abc import Sequence

Colour = tuple[int, int, int]

# Turns that far apart never come back to a hue (the golden angle).
_TURN = 0.618033988749895
# Relative luminances: 3:1 or more against white and against a page of #14181d.
_LUMINANCES = (0.24, 0.17, 0.29)


def relative_luminance(colour: Sequence[int]) -> float:
    """Give the relative luminance of an sRGB colour, 0 for black and 1 for white.

    Reference:
        WCAG 2.2, "relative luminance".
    """
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (part / 255 for part in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast_ratio(first: Sequence[int], second: Sequence[int]) -> float:
    """Give the contrast of two sRGB colours, from 1 to 21.

    Reference:
        WCAG 2.2, "contrast ratio".
    """
    light, dark = sorted(map(relative_luminance, (first, second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def key_colours(count: int) -> list[Colour]:
    """Choose a colour for each class, the background first, which is black.

    The palettes of mask files start with colours that a dark photograph swallows, such
    as VOC's (128, 0, 0). These differ in hue, and each shows on black and on white.

    Args:
        count: Classes, background included.
    """
    colours: list[Colour] = [(0, 0, 0)]
    for i in range(count - 1):
        hue = (0.02 + i * _TURN) % 1
        target = _LUMINANCES[i % len(_LUMINANCES)]
        colours.append(_of_luminance(hue, 0.85, target))
    return colours[:count]


def _of_luminance(hue: float, saturation: float, target: float) -> Colour:
    """Find the lightness at which a hue has a luminance, by halving the interval."""
    low, high = 0.0, 1.0
    colour: Colour = (0, 0, 0)
    for _ in range(20):
        lightness = (low + high) / 2
        parts = colorsys.hls_to_rgb(hue, lightness, saturation)
        colour = (round(255 * parts[0]), round(255 * parts[1]), round(255 * parts[2]))
        if relative_luminance(colour) < target:
            low = lightness
        else:
            high = lightness
    return colour
