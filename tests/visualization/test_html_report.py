import base64
import io
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from wsss_mm.visualization import draw_curve, save_curve, write_report

CURVE = [{'threshold': t / 100, 'mIoU': 40 - abs(t - 20)} for t in range(60)]
STAGES = [{'stage': 'CAM <baseline>', 'mIoU': 41.25}, {'stage': 'SEAM', 'mIoU': 52.0}]


class Page(HTMLParser):
    """Collects text, images and whatever would be loaded from outside."""

    def __init__(self, text):
        super().__init__()
        self.images, self.outside, self.open, self.text = [], [], [], ''
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == 'img':
            self.images.append((attrs['alt'], attrs['src']))
        if tag in ('script', 'link', 'iframe') or 'http' in attrs.get('src', ''):
            self.outside.append(tag)
        if tag not in ('meta', 'img', 'line', 'circle'):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    names = ('image', 'CAM & <SEAM>', 'ground truth')
    return {name: rng.integers(0, 256, (12, 16, 3), dtype=np.uint8) for name in names}


def write(path, pictures, **changes):
    options = dict(
        title='Demo <1>',
        stages=STAGES,
        samples=[dict(name='0001 "a"', tags=['cat<', 'dog'], pictures=pictures)],
        curves={'CAM': CURVE, 'SEAM & co': CURVE},
        facts={'seed': 0, 'seconds': 812.345},
        notes=['a < b'],
    )
    write_report(path, **(options | changes))
    return Page(path.read_text(encoding='utf-8'))


def test_page_holds_everything_itself(tmp_path, pictures):
    page = write(tmp_path / 'report.html', pictures)
    assert page.outside == []
    assert page.open == []
    assert [alt for alt, _ in page.images] == list(pictures)
    for (_, source), picture in zip(page.images, pictures.values()):
        head, data = source.split(',')
        assert head == 'data:image/png;base64'
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert np.array_equal(shown, picture)


def test_text_is_escaped_and_numbers_rounded(tmp_path, pictures):
    page = write(tmp_path / 'report.html', pictures)
    for text in (
        'CAM <baseline>',
        'Demo <1>',
        'a < b',
        '0001 "a"',
        'SEAM & co',
        'cat<dog',
    ):
        assert text in page.text
    for text in ('41.2', '52.0', '812.3'):
        assert text in page.text
    assert '812.345' not in page.text
    source = (tmp_path / 'report.html').read_text()
    assert '<baseline>' not in source
    assert '<SEAM>' not in source


def test_parts_that_are_not_there_leave_no_heading(tmp_path, pictures):
    page = write(tmp_path / 'r.html', pictures, samples=(), curves=None, facts=None)
    assert page.images == []
    for heading in ('Pictures', 'Background threshold', 'This run'):
        assert heading not in page.text
    assert 'Stages' in page.text


def test_bad_input_leaves_no_file(tmp_path, pictures):
    path = tmp_path / 'report.html'
    with pytest.raises(ValueError, match='no row'):
        write(path, pictures, stages=[])
    with pytest.raises(ValueError, match='share the keys'):
        write(path, pictures, stages=[{'a': 1}, {'b': 1}])
    with pytest.raises(ValueError, match='picture must be uint8'):
        write(path, {'image': np.zeros((3, 3, 3))})
    assert not list(tmp_path.iterdir())


def test_svg_puts_the_points_where_they_belong():
    svg = ElementTree.fromstring(draw_curve({'a': CURVE, 'b': CURVE[:1]}))
    lines = svg.findall('polyline')
    points = [tuple(map(float, p.split(','))) for p in lines[0].get('points').split()]
    assert len(points) == 60
    xs, ys = zip(*points)
    assert list(xs) == sorted(xs)
    assert np.argmin(ys) == 20  # the best is the highest on the page
    circle = svg.findall('circle')[0]
    assert (float(circle.get('cx')), float(circle.get('cy'))) == points[20]
    assert 'best 40.0 % at 0.20' in circle.find('title').text
    width, height = map(float, svg.get('viewBox').split()[2:])
    assert min(xs) >= 0
    assert max(xs) <= width
    assert min(ys) >= 0
    assert max(ys) <= height


@pytest.mark.parametrize('curves', [{}, {'a': []}])
def test_no_point_to_draw_is_refused(tmp_path, curves):
    with pytest.raises(ValueError, match=r'no curve|no point'):
        draw_curve(curves)
    with pytest.raises(ValueError, match=r'no curve|no point'):
        save_curve(tmp_path / 'curve.png', curves)
    assert not list(tmp_path.iterdir())


def test_curve_picture(tmp_path):
    save_curve(tmp_path / 'curve.png', {'CAM': CURVE, 'SEAM': CURVE})
    with Image.open(tmp_path / 'curve.png') as image:
        assert image.format == 'PNG'
        assert len(set(image.convert('RGB').resize((64, 40)).getdata())) > 10


def test_a_gap_in_a_column_of_numbers_is_aligned_with_them(tmp_path, pictures):
    stages = [{'stage': 'CAM', 'mIoU': '-'}, {'stage': 'SEAM', 'mIoU': 52.0}]
    write(tmp_path / 'report.html', pictures, stages=stages)
    text = (tmp_path / 'report.html').read_text()
    assert '<th>stage</th><th class="number">mIoU</th>' in text
    assert '<td>CAM</td><td class="number">-</td>' in text
