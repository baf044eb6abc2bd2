import json

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


def test_a_run_is_shown_with_its_figures_and_pictures(work):
    path = write_run_report(work, pictures=2)
    assert path == work / 'report.html'
    page = path.read_text()
    for text in ('42.0', '41.0', '47.5', '39.2', 'best threshold, 0.20', 'by crf'):
        assert text in page
    assert 'train_cam 12, refine_crf 3' in page
    assert page.count('class="sample"') == 2
    assert page.count('<img') == 2 * 4  # the image, its CAM, two masks
    assert 'mask, crf' in page


def test_without_true_masks_or_a_trained_network(work):
    (work / 'cam' / 'net.py').unlink()
    (work / 'results.json').write_text(json.dumps(dict(seconds={}, stages={})))
    page = write_run_report(work, out=work / 'elsewhere.html').read_text()
    assert 'no true masks are configured' in page
    assert '<img' not in page
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
