import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from wsss_mm.datasets.synth_voc import write_synth_voc
from wsss_mm.datasets.tags import write_tag_file
from wsss_mm.io.mask_file import save_mask
from wsss_mm.workflow import environment
from wsss_mm.workflow.fixes import converter


@pytest.fixture
def tool(root, monkeypatch):
    monkeypatch.setattr(sys, 'path', [*sys.path])  # the tool adds its checkout
    path = root / 'tools/doctor.py'
    spec = importlib.util.spec_from_file_location('doctor', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    return write_synth_voc(tmp_path / 'data', train=3, val=1, size=64, processes=1)


@pytest.fixture
def config(root, tmp_path, data):
    """A config on these data, with the weights that its training starts from."""
    (tmp_path / 'weights.pth').write_bytes(b'not looked into')
    path = tmp_path / 'mine.py'
    base = root / 'configs/cam/cam_r18_synth.py'
    roots = '\n'.join(
        f'{split}_dataloader = dict(dataset=dict(data_root={str(data)!r}))'
        for split in ('train', 'val', 'test')
    )
    weights = f'load_from = {str(tmp_path / "weights.pth")!r}'
    path.write_text(f'_base_ = [{str(base)!r}]\n{roots}\n{weights}\n')
    return path


def examine(tool, capsys, target, *options):
    status = tool.main([str(target), '--workers', '1', *options])
    return status, capsys.readouterr().out


def test_sound_data_and_environment(tool, config, data, capsys):
    status, text = examine(tool, capsys, config)
    assert (status, 'BROKEN' in text) == (0, False), text
    for word in (
        f'Python {sys.version.split()[0]}',
        'torch 2',
        'distribution:',
        'computes on',
        'train: SynthVOCDataset',
        'val: SynthVOCDataset',
        'nothing is broken',
    ):
        assert word in text
    assert 'test: ' not in text  # the same as val
    status, text = examine(tool, capsys, data)
    assert status == 0, text
    for split in ('train', 'trainaug', 'val'):
        assert f'{split}: SynthVOCDataset' in text


def test_every_finding_names_the_command_that_fixes_it(
    tool, config, data, tmp_path, capsys
):
    (data / 'JPEGImages/synth_000001.jpg').write_bytes(b'\xff\xd8')
    (data / 'SegmentationClass/synth_000002.png').unlink()
    table = data / 'image_labels.csv'
    table.write_text(table.read_text() + 'more,dragon\n')
    status, text = examine(tool, capsys, config)
    assert status == 1
    assert 'unreadable: 1' in text
    assert 'masks: 1' in text
    assert "'dragon' is not a class" in text
    assert f'fix: edit {table}' in text
    assert f'tools/dataset_converters/make_synth_voc.py {data}' in text
    # Of a folder nobody asked masks for every image.
    assert 'masks: 1' not in examine(tool, capsys, data)[1]

    (tmp_path / 'weights.pth').unlink()
    config.write_text(
        config.read_text() + 'model = dict(decode_head=dict(num_classes=5))\n'
    )
    text = examine(tool, capsys, config)[1]
    assert 'weights.pth: no such file' in text
    assert f'wsss convert SOURCE {tmp_path / "weights.pth"}' in text
    assert 'num_classes=5, the dataset 9' in text


def fixes(text):
    return [line.split('fix: ')[1] for line in text.splitlines() if 'fix: ' in line]


def test_the_command_for_damaged_drawings_works(tool, data, root, capsys):
    (data / 'JPEGImages/synth_000001.jpg').write_bytes(b'')
    (data / 'SegmentationClass/synth_000000.png').write_bytes(b'')
    status, text = examine(tool, capsys, data)
    (command,) = set(fixes(text))
    assert status == 1
    assert command.startswith(f'rm -r {data} && python tools/')
    command = command.replace('python ', f'PYTHONPATH=. {sys.executable} ')
    subprocess.run(command, shell=True, check=True, cwd=root, capture_output=True)
    assert examine(tool, capsys, data)[0] == 0
    # What we did not generate is not to be removed.
    (data / 'synth_voc.json').unlink()
    assert 'rm' not in converter('SynthVOCDataset', str(data))


def test_data_that_are_not_there_are_one_finding(
    tool, root, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    found = fixes(examine(tool, capsys, root / 'configs/seam/seam_r38_coco.py')[1])
    weights = 'data/weights/resnet38_imagenet.pth'
    assert found == [
        f'wsss convert ilsvrc-cls_rna-a1_cls1000_ep-0001.params {weights}',
        f'python {root}/tools/dataset_converters/coco14.py data/coco14',
    ]


@pytest.mark.parametrize(
    'name', ['clip_es/clip_es_vitb16_voc.py', 'weclip/weclip_vitb16_voc.py']
)
def test_the_weights_of_clip(name, tool, root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, text = examine(tool, capsys, root / 'configs' / name)
    assert status == 1
    # One finding, though several parts of the network start from the file.
    (line,) = [line for line in text.splitlines() if 'clip_vit_b16.pth: no' in line]
    sha = '5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f'
    for said in (
        'OpenAI publishes ViT-B-16.pt, about 350 MB, at https://openaipublic.',
        f'/clip/models/{sha}/ViT-B-16.pt',
        f'SHA-256 is {sha}.',
    ):
        assert said in line
    command = 'wsss convert ViT-B-16.pt data/weights/clip_vit_b16.pth'
    assert fixes(text).count(command) == 1
    # What the command writes is what the config looks for.
    (tmp_path / 'data/weights').mkdir(parents=True)
    (tmp_path / 'data/weights/clip_vit_b16.pth').write_bytes(b'not looked into')
    assert 'clip_vit_b16' not in examine(tool, capsys, root / 'configs' / name)[1]


def test_the_weights_and_scores_that_other_stages_make(
    tool, root, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    configs = root / 'configs/cam'
    text = examine(tool, capsys, configs / 'cam_r18_synth.py')[1]
    assert 'fix: wsss train configs/cam/cam_r18_synth_pretrain.py' in text
    text = examine(tool, capsys, configs / 'cam_r18_synth_affinity.py')[1]
    assert 'no folder of seed scores data/synth_voc/seed_scores' in text
    command = f'wsss run {configs}/cam_r18_synth.py'
    assert command in fixes(text)


def test_all_masks_of_a_segmenter_are_missing(tool, config, data, capsys):
    """One command makes them; where some are there, they are made again."""
    config.write_text(
        f'{config.read_text()}train_dataloader["dataset"]["data_prefix"]'
        '= dict(seg_map_path="mine")\n'
    )
    config.rename(config.with_name('net_deeplabv2.py'))
    first = config.with_name('net.py')
    first.touch()
    segmenter = config.with_name('net_deeplabv2.py')
    found = fixes(examine(tool, capsys, segmenter)[1])
    assert found == [f'wsss run {first}']
    (data / 'mine').mkdir()
    found = fixes(examine(tool, capsys, segmenter)[1])
    again = f'python tools/gen_pseudo.py {first} work_dirs/net/cam --out work_dirs/net'
    assert found == [f'{again} --overwrite']


def test_a_coco_folder(tool, tmp_path, capsys):
    """Its images lie in two folders, the masks of both in one."""
    for split in ('train', 'val'):
        (tmp_path / f'{split}2014').mkdir()
        (tmp_path / 'ImageSets/Segmentation').mkdir(parents=True, exist_ok=True)
        image = Image.new('RGB', (8, 6))
        image.save(tmp_path / f'{split}2014/{split}.jpg')
        mask = np.zeros((6, 8), np.uint8)
        save_mask(tmp_path / f'SegmentationClass/{split}.png', mask, [[0, 0, 0]])
        (tmp_path / f'ImageSets/Segmentation/{split}.txt').write_text(split)
    (tmp_path / 'annotations').mkdir()
    write_tag_file(tmp_path / 'image_labels.csv', {'train': ('cat',), 'val': ()})
    status, text = examine(tool, capsys, tmp_path)
    assert (status, fixes(text)) == (0, [])
    assert text.count('1 of 1 images') == 2
    stray = tmp_path / 'SegmentationClass/stray.png'
    save_mask(stray, np.zeros((6, 8), np.uint8), [[0, 0, 0]])
    assert f'{stray} belongs to no image' in examine(tool, capsys, tmp_path)[1]


def test_an_own_folder(tool, root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images/b.png').write_bytes(b'no image')
    table = tmp_path / 'tags.csv'
    own = (
        "dataset = dict(type='ImageLabelDataset', tags='tags.csv',\n"
        f"    data_root={str(tmp_path)!r}, data_prefix=dict(img_path='images'),\n"
        "    metainfo=dict(classes=('background', 'tin')), _delete_=True)\n"
        'train_dataloader = dict(dataset=dataset)\n'
        'val_dataloader = dict(dataset=dataset)\ntest_dataloader = val_dataloader\n'
        'model = dict(decode_head=dict(num_classes=2))\nload_from = None\n'
    )
    config = tmp_path / 'own.py'
    base = str(root / 'configs/cam/cam_r18_synth.py')
    config.write_text(f'_base_ = [{base!r}]\n{own}')
    assert fixes(examine(tool, capsys, config)[1]) == [
        f'make {table}, see "Your own images" in README.md'
    ]
    table.write_text('image_id,labels\na,tin\nb,\n')
    assert fixes(examine(tool, capsys, config)[1]) == [
        f'add them, or take their lines out of {table}',
        f'get them again, or take their lines out of {table}',
    ]


def test_training_masks_are_made_by_us(tool, config, data, capsys):
    """The segmenter's masks come from gen_pseudo, those to evaluate with do not."""
    config.write_text(
        f'{config.read_text()}train_dataloader["dataset"]["data_prefix"]'
        '= dict(seg_map_path="SegmentationClass")\n'
    )
    (data / 'SegmentationClass/synth_000003.png').unlink()  # of trainaug alone
    status, text = examine(tool, capsys, config)
    assert status == 1
    assert text.count('BROKEN') == 1
    assert 'masks: 1' in text
    assert 'fix: python tools/gen_pseudo.py' in text


def test_a_target_that_is_nothing_is_refused(tool, root, tmp_path, capsys):
    for target, message in (
        (tmp_path / 'none.py', 'no such config'),
        (root / 'configs/_base_/models/cam_r38.py', 'is a part of a config'),
        (tmp_path, 'holds no JPEGImages'),
    ):
        with pytest.raises(SystemExit) as stop:
            tool.main([str(target)])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
    (tmp_path / 'JPEGImages').mkdir()
    with pytest.raises(SystemExit):
        tool.main([str(tmp_path)])
    assert 'voc12.py' in capsys.readouterr().err


def test_two_distributions_in_one_place(tool, monkeypatch, capsys):
    monkeypatch.setattr(environment, 'version', lambda name: '1.0')
    status = tool.main([])
    text = capsys.readouterr().out
    assert status == 1
    assert 'onedl-mmcv' in text
    assert 'uninstall -y' in text


def test_without_torch_it_says_what_to_install(root, data):
    done = subprocess.run(
        [sys.executable, '-S', '-E', str(root / 'tools/doctor.py'), str(data)],
        capture_output=True,
        text=True,
        env={},
    )
    assert done.returncode == 1
    assert 'Traceback' not in done.stderr + done.stdout
    assert "No module named 'torch'" in done.stdout
    assert 'pip install -r requirements/runtime.txt' in done.stdout
    assert 'not looked at before the environment works' in done.stdout
