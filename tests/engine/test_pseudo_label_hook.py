from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from wsss_mm.engine.hooks import pseudo_label_hook
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.mask_file import load_mask
from wsss_mm.registry import HOOKS


def expected_of(runner, loader):
    """What the network says, image by image."""
    runner.model.eval()
    with torch.no_grad():
        return {
            sample.img_id: sample
            for batch in loader
            for sample in runner.model.test_step(batch)
        }


@pytest.mark.parametrize('loop', ['test', 'val'])
def test_a_stock_loop_writes_every_prediction(cam_config, tmp_path, synth, loop):
    cam_config.custom_hooks = [dict(type='PseudoLabelHook', out_dir=str(tmp_path))]
    runner = Runner.from_cfg(cam_config)
    getattr(runner, loop)()
    loader = getattr(runner, f'{loop}_dataloader')
    expected = expected_of(runner, loader)
    names = (synth / 'ImageSets/Segmentation/train.txt').read_text().split()
    assert sorted(expected) == sorted(names)
    for kind in ('cams', 'masks'):
        found = sorted(path.stem for path in (tmp_path / kind).iterdir())
        assert found == sorted(names)
    for name, sample in expected.items():
        classes, maps = load_cam(tmp_path / 'cams' / f'{name}.npz')
        assert classes.tolist() == sample.image_labels.nonzero().flatten().tolist()
        np.testing.assert_allclose(maps, sample.cam.data[classes], atol=1e-3)
        mask = load_mask(tmp_path / 'masks' / f'{name}.png', num_classes=9)
        assert np.array_equal(mask, sample.pred_sem_seg.data[0])
    palette = np.ravel(loader.dataset.metainfo['palette']).tolist()
    with Image.open(tmp_path / 'masks' / f'{names[0]}.png') as image:
        assert image.mode == 'P'
        assert image.getpalette()[: len(palette)] == palette


def test_nothing_is_predicted_before_the_folder_is_checked(cam_config, tmp_path):
    (tmp_path / 'out').write_text('')
    hook = dict(type='PseudoLabelHook', out_dir=str(tmp_path / 'out'))
    cam_config.custom_hooks = [hook]
    runner = Runner.from_cfg(cam_config)
    runner.model.test_step = None
    with pytest.raises(ValueError, match='cannot be made a folder'):
        runner.test()


@pytest.fixture
def runner():
    """What the hook reads of a runner: the palette."""
    dataset = SimpleNamespace(metainfo=dict(palette=[[0, 0, 0]] * 4))
    return SimpleNamespace(test_dataloader=SimpleNamespace(dataset=dataset))


@pytest.fixture
def samples():
    found = []
    for name in ('a', 'b'):
        sample = SegDataSample(metainfo=dict(img_id=name, img_path=f'{name}.jpg'))
        sample.image_labels = torch.tensor([1.0, 0.0, 1.0])
        sample.cam = PixelData(data=torch.rand(3, 4, 5))
        sample.pred_sem_seg = PixelData(data=torch.randint(0, 4, (1, 4, 5)))
        found.append(sample)
    return found


def write(runner, samples, out, **settings):
    hook = HOOKS.build(dict(type='mmseg.PseudoLabelHook', out_dir=str(out), **settings))
    hook.before_run(runner)
    hook.after_test_iter(runner, 0, None, samples)


@pytest.mark.parametrize(
    ('settings', 'kinds'),
    [
        (dict(), {'cams', 'masks'}),
        (dict(save_cams=False), {'masks'}),
        (dict(save_masks=False), {'cams'}),
    ],
)
def test_either_kind_can_be_left_out(runner, samples, tmp_path, settings, kinds):
    write(runner, samples, tmp_path, **settings)
    assert {path.name for path in tmp_path.iterdir()} == kinds


def test_maps_of_present_classes_alone(runner, samples, tmp_path):
    from wsss_mm.models.structures import PresentMaps

    for sample in samples:
        classes = torch.tensor([0, 2])
        sample.cam = PresentMaps.of(sample.cam.data[classes], classes, 3)
    write(runner, samples, tmp_path)
    for sample in samples:
        classes, maps = load_cam(tmp_path / f'cams/{sample.img_id}.npz')
        assert classes.tolist() == [0, 2]
        np.testing.assert_allclose(maps, sample.cam.data[[0, 2]], atol=1e-3)


def test_a_failure_leaves_no_half_file(runner, samples, tmp_path, monkeypatch):
    def break_off(file, **arrays):
        file.write(b'half a file')
        raise KeyboardInterrupt

    monkeypatch.setattr(np, 'savez_compressed', break_off)
    with pytest.raises(KeyboardInterrupt):
        write(runner, samples, tmp_path)
    assert not [path for path in tmp_path.rglob('*') if path.is_file()]


def test_the_mask_comes_last(runner, samples, tmp_path, monkeypatch):
    """An image with a mask is taken for done, so its CAM must be there."""
    order = []
    for name in ('save_cam', 'save_mask'):
        monkeypatch.setattr(
            pseudo_label_hook, name, lambda path, *rest: order.append(path.name)
        )
    write(runner, samples, tmp_path)
    assert order == ['a.npz', 'a.png', 'b.npz', 'b.png']


def test_ids_with_folders_and_dots(runner, samples, tmp_path):
    samples[0].set_metainfo(dict(img_id='sub folder/a.b'))
    write(runner, samples, tmp_path)
    assert (tmp_path / 'cams/sub folder/a.b.npz').is_file()
    assert (tmp_path / 'masks/sub folder/a.b.png').is_file()


def test_an_image_without_tags_is_refused_by_name(runner, samples, tmp_path):
    del samples[1].image_labels
    with pytest.raises(ValueError, match=r'b\.jpg: no image tags'):
        write(runner, samples, tmp_path)
    # A segmenter's masks need no tags.
    write(runner, samples, tmp_path, save_cams=False)
    assert (tmp_path / 'masks/b.png').is_file()


def test_a_file_in_the_place_of_the_folder(runner, samples, tmp_path):
    (tmp_path / 'out').write_text('')
    with pytest.raises(ValueError, match=r'out: cannot be made a folder .*choose'):
        write(runner, samples, tmp_path / 'out')


def test_a_folder_that_may_not_be_written_to(runner, samples, tmp_path, monkeypatch):
    monkeypatch.setattr('os.access', lambda path, mode: False)
    with pytest.raises(ValueError, match=r'out: cannot be written to; choose'):
        write(runner, samples, tmp_path / 'out')


def test_no_file_of_somebody_else_is_written_over(cam_config, tmp_path, synth):
    """Neither through links nor where true masks lie in the output folder."""
    name = (synth / 'ImageSets/Segmentation/train.txt').read_text().split()[0]
    true = synth / 'SegmentationClass' / f'{name}.png'
    before = true.read_bytes()

    def run(out):
        cam_config.custom_hooks = [
            dict(type='PseudoLabelHook', out_dir=str(out), save_cams=False)
        ]
        cam_config.experiment_name = out.name
        Runner.from_cfg(cam_config).test()

    (tmp_path / 'linked').mkdir()
    (tmp_path / 'linked/masks').symlink_to(true.parent)
    with pytest.raises(ValueError, match='masks is a link that leads out'):
        run(tmp_path / 'linked')
    (tmp_path / 'copied/masks').mkdir(parents=True)
    (tmp_path / 'copied/masks' / true.name).write_bytes(before)
    with pytest.raises(ValueError, match='was not made by these tools'):
        run(tmp_path / 'copied')
    assert true.read_bytes() == before
    assert (tmp_path / 'copied/masks' / true.name).read_bytes() == before


def test_the_folders_that_a_dataset_reads_are_known():
    inner = SimpleNamespace(data_prefix=dict(img_path='images', seg_map_path=None))
    other = SimpleNamespace(data_prefix=dict(img_path='others'))
    joined = SimpleNamespace(datasets=[inner, SimpleNamespace(dataset=other)])
    assert pseudo_label_hook.input_folders(joined) == ['images', 'others']


def test_two_images_of_one_name_are_refused(runner, samples, tmp_path):
    """As two datasets that are joined may have them."""
    samples[1].set_metainfo(dict(img_id='a'))
    with pytest.raises(ValueError, match=r"b\.jpg and a\.jpg have one name, 'a'"):
        write(runner, samples, tmp_path)
