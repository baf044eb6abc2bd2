import numpy as np
import pytest
from mmengine.runner import Runner
from PIL import Image

from wsss_mm.engine.hooks import CAMPanelHook
from wsss_mm.utils.errors import InputError


def test_panels_go_to_the_visualizer_once_a_validation(cam_config, tmp_path):
    cam_config.train_cfg.val_interval = 1
    cam_config.custom_hooks = [dict(type='CAMPanelHook', images=2, height=50)]
    Runner.from_cfg(cam_config).train()
    files = sorted((tmp_path / 'work').glob('*/vis_data/vis_image/*.png'))
    assert [file.name for file in files] == [
        'cam_synth_000000_1.png',
        'cam_synth_000000_2.png',
        'cam_synth_000001_1.png',
        'cam_synth_000001_2.png',
    ]
    with Image.open(files[0]) as panel:
        assert panel.height == 50
        assert panel.width > 2 * 50 * 0.7  # the image and a CAM at least
        assert np.asarray(panel).std() > 10


def test_at_least_one_image():
    with pytest.raises(InputError, match='at least 1'):
        CAMPanelHook(images=0)


def test_two_trainings_of_a_process_write_into_their_own_folders(cam_config, tmp_path):
    for name in ('one', 'two'):
        cam_config.work_dir = str(tmp_path / name)
        Runner.from_cfg(cam_config).train()
        (file,) = (tmp_path / name).glob('*/vis_data/scalars.json')
        assert 'tag_mAP' in file.read_text()
