import pytest

from wsss_mm.visualization import contrast_ratio, key_colours, relative_luminance


def test_contrast_is_that_of_wcag():
    assert contrast_ratio((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast_ratio((255, 255, 255), (0, 0, 0)) == pytest.approx(21)
    # #767676 is the lightest grey that WCAG lets stand on white.
    assert contrast_ratio((0x76,) * 3, (255,) * 3) == pytest.approx(4.54, abs=0.005)
    assert relative_luminance((255, 0, 0)) == pytest.approx(0.2126)


def test_every_class_shows_on_black_and_on_white():
    for colour in key_colours(81)[1:]:
        assert contrast_ratio(colour, (0, 0, 0)) >= 4
        assert contrast_ratio(colour, (255, 255, 255)) >= 3


def test_colours_differ_and_do_not_depend_on_how_many_there_are():
    assert key_colours(1) == [(0, 0, 0)]
    many = key_colours(81)
    assert len(set(many)) == 81
    assert key_colours(9) == many[:9]
    near = min(
        sum((a - b) ** 2 for a, b in zip(one, other)) ** 0.5
        for i, one in enumerate(many[:9])
        for other in many[:i]
    )
    assert near > 50
