"""The report in a browser: what its script makes of it, and that nothing overlaps."""

import json
import re
import shutil
import subprocess
from html import escape, unescape

import numpy as np
import pytest
from PIL import Image

from wsss_mm.io.cam_file import save_cam
from wsss_mm.io.mask_file import save_mask
from wsss_mm.visualization import ImageFiles, Report, write_report
from wsss_mm.workflow.report_gallery import make_gallery

BROWSER = shutil.which('chromium') or shutil.which('google-chrome')
pytestmark = pytest.mark.skipif(BROWSER is None, reason='no Chromium is installed')

CLASSES = ('background', '<img src=x onerror=alert(1)>', 'a rather long class name')
CURVE = [{'threshold': t / 100, 'mIoU': 40 - abs(t - 20)} for t in range(60)]


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """A report of thirty photographs, dark and light, wide and tall."""
    folder = tmp_path_factory.mktemp('report')
    files = []
    for i in range(30):
        height, width = ((60, 90), (90, 60), (20, 120))[i % 3]
        photo = np.full((height, width, 3), 8 * i, np.uint8)
        name = f'a folder with a long name/and another one/IMG_{i:04d}'
        image = folder / f'{i}.jpg'
        Image.fromarray(photo).save(image)
        cam, mask = (
            np.zeros((2, height, width), np.float32),
            np.zeros_like(photo)[..., 0],
        )
        cam[0, :9, :9], mask[:9, :9] = 0.9, 1 + i % 2
        save_cam(folder / f'{i}.npz', [0, 1], cam)
        save_mask(folder / f'{i}.png', mask, [[j, j, j] for j in range(3)])
        files.append(
            ImageFiles(
                name=name,
                image=image,
                tags=(0, 1),
                cams={'CAM': folder / f'{i}.npz'},
                masks={'raw mask': folder / f'{i}.png'},
                truth=folder / f'{i}.png',
            )
        )
    gallery, findings = make_gallery(files, CLASSES, threshold=0.3)
    report = Report(
        title='A run with a rather long name: from image labels to a segmenter',
        stages=[{'stage': 'CAMs', 'tag mAP [%]': 91.0, 'mIoU [%]': 50.0}],
        notes=['A note.'],
        findings=findings,
        curves={'CAM': CURVE},
        classes={name: {'IoU of CAMs': 50.0, 'IoU of masks': 60.0} for name in CLASSES},
        gallery=gallery,
        facts={'command': 'wsss run ' + 'a_very_long_argument/' * 12, 'seed': 0},
    )
    write_report(folder / 'report.html', report)
    return folder / 'report.html'


def run(page, script, *, width=1280):
    """Run a script in the page when it is shown; return what it returns."""
    text = page.read_text(encoding='utf-8')
    probe = (
        '<script>window.wrong = []; addEventListener("error", (e) => '
        'wrong.push(e.message)); window.alert = (e) => wrong.push("alert")</script>'
    )
    ask = (
        '<script>addEventListener("load", () => { const answer = (() => {'
        f'{script}'
        '})(); parent.document.body.dataset.answer = JSON.stringify({answer, wrong}); '
        '})</script>'
    )
    text = text.replace('<head>', f'<head>{probe}').replace('</body>', f'{ask}</body>')
    if width < 500:  # no window is that narrow, but a frame in it may be
        style = f'width: {width}px; height: 800px; border: 0'
        frame = f'<iframe style="{style}" srcdoc="{escape(text)}"></iframe>'
        text = f'<!doctype html><body>{frame}</body>'
    copy = page.with_name('probe.html')
    copy.write_text(text, encoding='utf-8')
    done = subprocess.run(
        [
            *(BROWSER, '--headless', '--no-sandbox', '--disable-gpu', '--dump-dom'),
            *(f'--window-size={max(width, 500)},900', '--virtual-time-budget=3000'),
            f'--user-data-dir={page.parent / "profile"}',
            copy.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(unescape(re.search(r'data-answer="([^"]*)"', done.stdout)[1]))
    assert found['wrong'] == []
    return found['answer']


def test_a_page_of_images_with_texts_that_say_something(page):
    alts = run(
        page,
        'return [...document.querySelectorAll(".card")].map((card) => '
        '[...card.querySelectorAll("img")].map((img) => img.alt).filter(Boolean));',
    )
    assert len(alts) == 12
    for photo, *others in alts:
        assert photo.startswith('Photograph a folder with a long name')
        assert len(others) == 4
        assert 'strongest, 0.90, at the upper left' in others[0]
        assert 'background 9' in others[2]


def test_class_names_are_text(page):
    found = run(
        page,
        'return [document.querySelectorAll("img[src=x]").length, '
        'document.querySelector(".tag").textContent];',
    )
    assert found == [0, CLASSES[1]]


def test_filters_orders_and_pages(page):
    found = run(
        page,
        """
        const at = (id) => document.getElementById(id);
        const names = () => [...document.querySelectorAll('.card h3')].map(
          (head) => head.firstChild.textContent.slice(-4));
        const set = (id, value) => {
          at(id).value = value; at(id).dispatchEvent(new Event('input'));
        };
        const said = [];
        set('order', 'name'); said.push(names()[0], at('count').textContent);
        at('next').click(); said.push(names()[0]);
        at('next').click(); said.push(names().length, at('next').disabled);
        set('name', 'img_0007'); said.push(names(), at('count').textContent);
        set('name', ''); set('remark', 'missing'); said.push(at('count').textContent);
        return said;
        """,
    )
    assert found == [
        *('0000', '30 images, page 1 of 3', '0012', 6, True),
        *(['0007'], '1 image', '30 images, page 1 of 3'),
    ]


def test_enlarging_the_slider_and_the_keyboard(page):
    found = run(
        page,
        """
        const at = (id) => document.getElementById(id);
        const key = (key) => at('viewer').dispatchEvent(
          new KeyboardEvent('keydown', { key }));
        document.querySelectorAll('.panel')[3].click();
        const said = [at('viewer').open, at('viewer-name').textContent.slice(-4)];
        at('share').value = 40; at('share').dispatchEvent(new Event('input'));
        said.push(document.querySelector('.big img + img').style.clipPath);
        said.push(at('share').getAttribute('aria-valuetext'));
        const first = at('viewer-name').textContent;
        key('ArrowRight'); said.push(at('viewer-name').textContent !== first);
        key('ArrowLeft'); said.push(at('viewer-name').textContent === first);
        at('layers').children[0].click();
        said.push(at('slide').hidden, at('words').textContent.slice(0, 10));
        said.push(document.activeElement.getAttribute('aria-pressed'));
        said.push(at('viewer').querySelector('.key li').textContent);
        at('close').click(); said.push(at('viewer').open);
        return said;
        """,
    )
    assert found[0] is True
    assert found[2:4] == [
        'inset(0px 60% 0px 0px)',
        'the layer covers 40 % from the left',
    ]
    assert found[4:] == [True, True, True, 'Photograph', 'true', CLASSES[1], False]


@pytest.mark.parametrize('width', [360, 820, 1280])
def test_nothing_overlaps_or_sticks_out(page, width):
    found = run(
        page,
        """
        const all = document.documentElement;
        const wide = all.scrollWidth - all.clientWidth;
        const boxes = [...document.querySelectorAll(
          'h1, h2, h3, main > p, .look li, .controls label, .key li, .panel, dt, dd'
        )].filter((one) => one.checkVisibility()).map((one) => {
          const { left, top, right, bottom } = one.getBoundingClientRect();
          return { left, top, right, bottom, text: one.textContent.slice(0, 30) };
        });
        const clashes = [];
        boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
          if (a.left < b.right - 1 && b.left < a.right - 1
              && a.top < b.bottom - 1 && b.top < a.bottom - 1) {
            clashes.push([a.text, b.text]);
          }
        }));
        const out = boxes.filter((a) => a.left < 0 || a.right > all.clientWidth);
        const small = [...document.querySelectorAll('button, select, input')].filter(
          (one) => one.checkVisibility() && one.getBoundingClientRect().height < 24);
        return { wide, clashes, out, small: small.length, count: boxes.length };
        """,
        width=width,
    )
    assert found.pop('count') > 60
    assert found == {'wide': 0, 'clashes': [], 'out': [], 'small': 0}
