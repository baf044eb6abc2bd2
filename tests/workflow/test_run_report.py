import json
import re

import numpy as np
import pytest
from PIL import Image

from wsss_mm.io.cam_file import save_cam
from wsss_mm.io.mask_file import save_mask
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.run_report import write_run_report

CURVE = [dict(threshold=t / 10, mIoU=40 + t) for t in range(3)]


@pytest.fixture
def work(tmp_path, synth, cam_config):
    """What a run leaves: figures, CAMs and masks, and the config beside the weights."""
    folder = tmp_path / 'run'
    figures = {
        'cam': dict(mIoU=41.0, mIoU_best=42.0, best_threshold=0.2, curve=CURVE),
        'crf': dict(mIoU=47.5),
        'segmentation': dict(mIoU=39.25),
    }
    (folder / 'cam').mkdir(parents=True)
    results = dict(seconds=dict(train_cam=12.4, refine_crf=3.0), stages=figures)
    (folder / 'results.json').write_text(json.dumps(results))
    cam_config.dump(folder / 'cam' / 'net.py')
    for name in ('synth_000000', 'synth_000001', 'synth_000002'):
        width, height = Image.open(synth / f'JPEGImages/{name}.jpg').size
        save_cam(folder / f'cams/{name}.npz', [2], np.full((1, height, width), 0.5))
        for masks in ('masks', 'masks_crf'):
            mask = np.full((height, width), 3, np.uint8)
            save_mask(folder / masks / f'{name}.png', mask, [[0, 0, 0]] * 9)
    return folder


def gallery_of(page):
    found = re.search(r'id="gallery-data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])['images']


def test_a_run_is_shown_with_its_figures_and_pictures(work):
    path = write_run_report(work, pictures=2)
    assert path == work / 'report.html'
    page = path.read_text()
    for text in ('42.0', '41.0', '47.5', '39.2', 'best threshold, 0.20', 'by crf'):
        assert text in page
    assert '15 s (train_cam 12 s, refine_crf 3 s)' in page
    images = gallery_of(page)
    assert len(images) == 2
    assert '2 of 3 images are shown' in page
    for image in images:
        captions = [layer['caption'] for layer in image['layers']]
        assert captions[0] == 'image'
        assert captions[1] == 'CAM of star'
        assert captions[2:4] == ['raw mask', 'mask refined by crf']
        assert ['full', 'raw mask: 100 % is foreground'] in image['remarks']
    assert '3 of 3 images have a mask that is foreground nearly everywhere.' in page


def test_true_masks_rate_the_images(work):
    images = gallery_of(write_run_report(work).read_text())
    rated = {image['name']: image['miou'] for image in images}
    # The val list of this config has its true masks in the same folder.
    assert len(rated) == 3
    assert all(0 <= value <= 100 for value in rated.values())
    assert [layer['caption'] for layer in images[0]['layers']][-1] == 'truth'


def test_what_the_segmenter_predicts_is_shown_with_the_other_masks(work, cam_config):
    cam_config.test_dataloader.dataset.ann_file = 'ImageSets/Segmentation/val.txt'
    cam_config.test_dataloader.dataset.tags = None
    (work / 'segmenter').mkdir()
    cam_config.dump(work / 'segmenter' / 'net.py')
    for name in ('synth_000004', 'synth_000005'):
        mask = np.zeros((64, 64), np.uint8)
        save_mask(work / f'predictions/masks/{name}.png', mask, [[0, 0, 0]] * 9)
    shown = gallery_of(write_run_report(work).read_text())
    images = {image['name']: image for image in shown}
    assert len(images) == 5
    assert images['synth_000004']['group'] == 'test'
    assert ['empty', 'prediction: empty'] in images['synth_000004']['remarks']
    assert images['synth_000000']['group'] == 'training'


def test_tag_map_what_was_used_and_the_classes(work):
    results = json.loads((work / 'results.json').read_text())
    classes = {f'class {i}': dict(IoU=10.0 * i) for i in range(9)}
    results['stages']['crf']['classes'] = classes
    used = dict(command='wsss run <x>', commit='abc', seed=3, device='CPU')
    results.update(tag_mAP=91.25, used=used)
    (work / 'results.json').write_text(json.dumps(results))
    page = write_run_report(work).read_text()
    for text in ('91.2', 'wsss run &lt;x&gt;', '<dd>abc</dd>', '<dd>3</dd>'):
        assert text in page
    # Class names come from the dataset.
    assert '<th scope="row">crescent</th><td class="bar"><div>' in page
    assert 'class 8' not in page


def test_without_true_masks_or_a_trained_network(work):
    (work / 'cam' / 'net.py').unlink()
    (work / 'results.json').write_text(json.dumps(dict(seconds={}, stages={})))
    page = write_run_report(work, out=work / 'elsewhere.html').read_text()
    assert 'no true masks are configured' in page
    assert 'gallery-data' not in page
    assert not (work / 'report.html').exists()


def test_a_report_without_pictures(work):
    assert 'gallery-data' not in write_run_report(work, pictures=0).read_text()


def test_worker_processes_make_the_same_page(work):
    one = write_run_report(work, out=work / 'one.html').read_text()
    assert write_run_report(work, out=work / 'two.html', workers=2).read_text() == one


def test_a_damaged_file_is_named(work):
    (work / 'masks_crf' / 'synth_000001.png').write_bytes(b'')
    with pytest.raises(InputError, match=r'synth_000001\.png'):
        write_run_report(work)
    assert not (work / 'report.html').exists()


@pytest.mark.parametrize(
    'content, message',
    [
        (None, 'name the work folder'),
        ('{', 'not readable'),
        ('[]', 'no stages and seconds'),
        ('{"seconds": 9, "stages": {}}', 'is of the demo'),
    ],
)
def test_a_folder_without_results_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / 'results.json').write_text(content)
    with pytest.raises(InputError, match=message):
        write_run_report(tmp_path)
