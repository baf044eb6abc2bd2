import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from wsss_mm.visualization import (
    Finding,
    Gallery,
    GalleryImage,
    ImageFiles,
    Impression,
    Layer,
    Report,
    contrast_ratio,
    draw_curve,
    key_colours,
    photograph,
    save_curve,
    write_report,
)
from wsss_mm.visualization.curve import COLOURS
from wsss_mm.visualization.gallery_page import PICTURE

CURVE = [{'threshold': t / 100, 'mIoU': 40 - abs(t - 20)} for t in range(60)]
STAGES = [{'stage': 'CAM <baseline>', 'mIoU': 41.25}, {'stage': 'SEAM', 'mIoU': 52.0}]
CLASSES = ('background', 'cat<', '</script><b>dog')


class Page(HTMLParser):
    """Collects text, images and whatever would be loaded from outside."""

    def __init__(self, text):
        super().__init__()
        self.outside, self.open, self.text, self.data = [], [], '', ''
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        loads = [str(attrs.get(key, '')) for key in ('src', 'href', 'xlink:href')]
        if tag in ('link', 'iframe', 'base') or any(
            one[:1] not in '#' for one in loads
        ):
            self.outside.append((tag, attrs))
        if tag not in ('meta', 'img', 'input'):
            self.open.append((tag, attrs.get('id')))

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if self.open and self.open[-1][0] == tag:
            self.open.pop()

    def handle_data(self, data):
        where = self.open[-1] if self.open else ('', '')
        if where == ('script', 'gallery-data'):
            self.data += data
        elif where[0] not in ('script', 'style'):
            self.text += data


def image(name='monday/IMG 001', **impression):
    rng = np.random.default_rng(0)
    files = ImageFiles(name=name, image=Path('x.jpg'), tags=(0, 1), group='training')
    photo = photograph(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    layers = (
        Layer(caption='image', text=f'Photograph {name}'),
        Layer(caption='CAM of cat<', text='strongest at the upper left', png=b'png'),
    )
    return GalleryImage(
        files=files, impression=Impression(**impression), photo=photo, layers=layers
    )


def gallery(images, **changes):
    options = dict(classes=CLASSES, colours=key_colours(3), total=len(images))
    return Gallery(images=iter(images), **(options | changes))


def write(path, **changes):
    options = dict(
        title='Demo <1>',
        stages=STAGES,
        curves={'CAM': CURVE, 'SEAM & co': CURVE},
        classes={'cat<': {'IoU of CAMs': 41.25, 'IoU of masks': None}},
        findings=[Finding(text='cat< is in no mask.', class_index=1)],
        gallery=gallery([image(miou=12.3, margin=0.4, remarks=(('empty', 'a < b'),))]),
        facts={'seed': 0, 'seconds': 812.345},
        notes=['a < b'],
    )
    write_report(path, Report(**(options | changes)))
    return Page(path.read_text(encoding='utf-8'))


def test_page_holds_everything_itself(tmp_path):
    page = write(tmp_path / 'report.html')
    assert page.outside == []
    assert page.open == []
    assert list(tmp_path.iterdir()) == [tmp_path / 'report.html']
    (shown,) = json.loads(page.data)['images']
    assert shown['photo'].startswith('data:image/jpeg;base64,')
    assert [one['src'] for one in shown['layers']] == [
        None,
        'data:image/png;base64,cG5n',
    ]
    assert (shown['width'], shown['height']) == (16, 12)
    assert shown['tags'] == ['cat<', '</script><b>dog']
    assert shown['about'] == 'training, IoU of its classes 12.3 %, ' + (
        'margin of the scores 0.40'
    )


def test_text_is_escaped_and_numbers_rounded(tmp_path):
    page = write(tmp_path / 'report.html')
    for text in ('CAM <baseline>', 'Demo <1>', 'a < b', 'SEAM & co', 'cat< is in no'):
        assert text in page.text
    for text in ('41.2', '52.0', '812.3'):
        assert text in page.text
    assert '812.345' not in page.text
    source = (tmp_path / 'report.html').read_text()
    assert '<baseline>' not in source
    assert '</script><b>' not in source


def test_parts_that_are_not_there_leave_no_heading(tmp_path):
    path = tmp_path / 'r.html'
    write_report(path, Report(title='t', stages=STAGES))
    page = Page(path.read_text())
    for heading in ('Images', 'Background threshold', 'This run', 'Classes', 'Look at'):
        assert heading not in page.text
    assert 'Stages' in page.text
    assert '<script' not in path.read_text()


def test_bad_input_leaves_no_file(tmp_path):
    path = tmp_path / 'report.html'
    with pytest.raises(ValueError, match='no row'):
        write(path, stages=[])
    with pytest.raises(ValueError, match='share the keys'):
        write(path, stages=[{'a': 1}, {'b': 1}])
    with pytest.raises(ValueError, match='share the keys'):
        write(path, classes={'a': {'x': 1.0}, 'b': {'y': 1.0}})
    assert not list(tmp_path.iterdir())


def test_the_pictures_of_many_images_lie_beside_the_page(tmp_path):
    path = tmp_path / 'report.html'
    page = write(path, gallery=gallery([image(f'i{i}') for i in range(5)], inline=2))
    shown = json.loads(page.data)['images']
    inline = [one['photo'].startswith('data:') for one in shown]
    assert inline == [True, True, False, False, False]
    files = sorted((tmp_path / 'report_pictures').iterdir())
    named = {one['photo'] for one in shown[2:]}
    named |= {layer['src'] for one in shown[2:] for layer in one['layers'][1:]}
    assert {f'report_pictures/{file.name}' for file in files} == named
    assert all(PICTURE.fullmatch(file.name) for file in files)
    assert 'The pictures of 3 of them lie in report_pictures' in page.text
    # A report of fewer leaves none of the old ones, and nothing else is touched.
    (tmp_path / 'report_pictures' / 'mine.png').write_bytes(b'')
    write(path, gallery=gallery([image()]))
    assert [f.name for f in (tmp_path / 'report_pictures').iterdir()] == ['mine.png']


def test_thousands_of_images_add_hundreds_of_bytes_each_to_the_page(tmp_path):
    def size(count):
        path = tmp_path / f'{count}.html'
        images = [image(f'i{i:05d}') for i in range(count)]
        write(path, gallery=gallery(images, inline=1))
        return path.stat().st_size

    assert (size(401) - size(1)) / 400 < 500


def test_controls_offer_what_the_images_have(tmp_path):
    rated = write(tmp_path / 'a.html')
    assert 'worst first' in rated.text
    assert 'to look at first' in rated.text
    assert 'empty mask' in rated.text
    assert 'mask nearly full' not in rated.text
    plain = write(tmp_path / 'b.html', gallery=gallery([image()]))
    for text in ('worst first', 'least certain', 'to look at first', 'empty mask'):
        assert text not in plain.text
    assert 'by name' in plain.text


def test_a_curve_draws_its_points_and_says_what_it_shows():
    text = draw_curve({'a<': CURVE, 'b': CURVE[:1]})
    svg = ElementTree.fromstring(text)
    assert 'a< is best, 40.0 %, at 0.20' in svg.get('aria-label')
    space = '{http://www.w3.org/2000/svg}'
    (group,) = [g for g in svg.iter(f'{space}g') if g.get('id') == 'curve_0']
    numbers = re.findall(r'[ML] (\S+) (\S+)', group.find(f'{space}path').get('d'))
    xs, ys = zip(*((float(x), float(y)) for x, y in numbers))
    assert list(xs) == sorted(xs)
    assert ys.index(min(ys)) == 20  # the best is the highest on the page
    width, height = map(float, svg.get('viewBox').split()[2:])
    assert 0 <= min(xs) <= max(xs) <= width
    assert 0 <= min(ys) <= max(ys) <= height
    assert 'currentColor' in text
    assert '#010203' not in text
    assert text == draw_curve({'a<': CURVE, 'b': CURVE[:1]})


@pytest.mark.parametrize('curves', [{}, {'a': []}])
def test_no_point_to_draw_is_refused(tmp_path, curves):
    with pytest.raises(ValueError, match=r'no curve|no point'):
        draw_curve(curves)
    with pytest.raises(ValueError, match=r'no curve|no point'):
        save_curve(tmp_path / 'curve.png', curves)
    assert not list(tmp_path.iterdir())


def test_curve_picture(tmp_path):
    save_curve(tmp_path / 'curve.png', {'CAM': CURVE, 'SEAM': CURVE})
    with Image.open(tmp_path / 'curve.png') as picture:
        assert picture.format == 'PNG'
        assert len(set(picture.convert('RGB').resize((64, 40)).getdata())) > 10


def test_a_gap_in_a_column_of_numbers_is_aligned_with_them(tmp_path):
    stages = [{'stage': 'CAM', 'mIoU': '-'}, {'stage': 'SEAM', 'mIoU': 52.0}]
    write(tmp_path / 'report.html', stages=stages)
    text = (tmp_path / 'report.html').read_text()
    assert '<th scope="col">stage</th><th scope="col" class="number">mIoU</th>' in text
    assert '<th scope="row">CAM</th><td class="number">-</td>' in text


# --- contrast, WCAG 2.2: 4.5 for text, 3 for what is not text

TEXT = [
    *(('ink', 'page'), ('soft', 'page'), ('ink', 'raised'), ('accent', 'page')),
    *(('on-accent', 'accent'), ('on-tag', 'tag'), ('on-warn', 'warn')),
]
SHAPES = [('edge', 'page'), ('bar', 'page'), ('bar', 'raised'), ('accent', 'page')]


def themes(root):
    css = (root / 'wsss_mm/visualization/report.css').read_text()
    blocks = re.findall(r':root \{([^}]*)\}', css)
    assert len(blocks) == 2
    found = [dict(re.findall(r'--([\w-]+): (#[0-9a-f]{6})', text)) for text in blocks]
    assert found[0].keys() == found[1].keys()
    return dict(zip(('light', 'dark'), found))


def rgb(colour):
    return tuple(bytes.fromhex(colour[1:]))


@pytest.mark.parametrize('theme', ['light', 'dark'])
def test_text_and_shapes_stand_out(root, theme):
    colours = {name: rgb(value) for name, value in themes(root)[theme].items()}
    for pairs, least in ((TEXT, 4.5), (SHAPES, 3)):
        for front, back in pairs:
            ratio = contrast_ratio(colours[front], colours[back])
            assert ratio >= least, (front, back, ratio)
    for colour in [*map(rgb, COLOURS), *key_colours(81)[1:]]:
        assert contrast_ratio(colour, colours['page']) >= 3, colour
