"""tools/dataset_converters/voc12.py on archives laid out like VOC's and SBD's."""

import hashlib
import importlib.util
import io
import tarfile

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from wsss_mm.datasets import VOCImageLabelDataset
from wsss_mm.datasets.image_files import read_id_list
from wsss_mm.datasets.tags import read_tag_file
from wsss_mm.io.mask_file import load_mask

TRAIN = ('2007_000001', '2008_000002')
VAL = ('2007_000005',)
EXTRA = ('2009_000003', '2010_000004')
SIZE = (12, 16)  # height, width
OBJECTS = {
    '2007_000001': ('dog', 'cat', 'dog'),
    '2008_000002': ('tvmonitor',),
    '2007_000005': ('person',),
    '2009_000003': ('cat',),
    '2010_000004': ('person', 'sofa'),
}
TAGGED = dict(cat=2, dog=1, person=1, sofa=1, tvmonitor=1)


def encode(array, form, palette=False):
    image = Image.fromarray(array)
    if palette:
        image.putpalette(bytes(768))
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


def voc_files():
    """What the archive of VOC holds, by path."""
    top = 'VOCdevkit/VOC2012/'
    files = {
        top + 'ImageSets/Segmentation/train.txt': '\n'.join(TRAIN).encode(),
        top + 'ImageSets/Segmentation/val.txt': '\n'.join(VAL).encode(),
        top + 'ImageSets/Main/cat_train.txt': b'unused',
        top + 'SegmentationObject/2007_000001.png': b'unused',
    }
    for name, objects in OBJECTS.items():
        picture = encode(np.zeros((*SIZE, 3), np.uint8), 'JPEG')
        files[f'{top}JPEGImages/{name}.jpg'] = picture
        nodes = ''.join(
            f'<object><name>{o}</name><difficult>{i % 2}</difficult>'
            '<part><name>head</name></part></object>'
            for i, o in enumerate(objects)
        )
        xml = f'<annotation>{nodes}</annotation>'
        files[f'{top}Annotations/{name}.xml'] = xml.encode()
    for name in (*TRAIN, *VAL):
        mask = np.full(SIZE, 255, np.uint8)
        files[f'{top}SegmentationClass/{name}.png'] = encode(mask, 'PNG', palette=True)
    return files


def mat(mask):
    """A class mask in a structure as MATLAB stores it."""
    stream = io.BytesIO()
    savemat(stream, {'GTcls': {'Segmentation': mask}}, do_compression=True)
    return stream.getvalue()


def sbd_mask(name):
    mask = np.zeros(SIZE, np.uint8)
    mask[2:5, int(name[-1]) :] = int(name[-1])
    return mask


def sbd_files():
    """SBD: its train and val mix images of VOC's train and val with others."""
    top = 'benchmark_RELEASE/dataset/'
    files = {
        top + 'train.txt': f'{EXTRA[0]}\n{VAL[0]}\n'.encode(),
        top + 'val.txt': f'{EXTRA[1]}\n{TRAIN[0]}\n'.encode(),
    }
    for name in (*EXTRA, TRAIN[0], VAL[0]):
        files[f'{top}cls/{name}.mat'] = mat(sbd_mask(name))
    return files


def pack(path, files):
    with tarfile.open(path, 'w:gz' if path.suffix == '.tgz' else 'w') as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def spread(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture
def tool(root, monkeypatch):
    path = root / 'tools/dataset_converters/voc12.py'
    spec = importlib.util.spec_from_file_location('voc12', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    counts = {'train': 2, 'val': 1, 'trainaug': 4}
    files = {'JPEGImages': 5, 'Annotations': 5, 'SegmentationClass': 3}
    monkeypatch.setattr(module, 'COUNTS', counts)
    monkeypatch.setattr(module, 'FILES', files)
    tagged = [TAGGED.get(name, 0) for name in module.CLASSES[1:]]
    monkeypatch.setattr(module, 'TAGGED', tagged)
    return module


@pytest.fixture
def archives(tool, tmp_path, monkeypatch):
    """Both archives, and their sums as those of the official ones."""
    voc = pack(tmp_path / 'VOCtrainval.tar', voc_files())
    sbd = pack(tmp_path / 'benchmark.tgz', sbd_files())
    for name, path in (('VOC_MD5', voc), ('SBD_MD5', sbd)):
        digest = hashlib.md5(path.read_bytes()).hexdigest()
        monkeypatch.setattr(tool, name, digest)
    return voc, sbd


def run(tool, *arguments):
    tool.main([str(argument) for argument in arguments])


def refusal(tool, capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        run(tool, *arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def check_ready(out):
    lists = out / 'ImageSets/Segmentation'
    assert read_id_list(lists / 'trainaug.txt') == sorted((*TRAIN, *EXTRA))
    classes = VOCImageLabelDataset.METAINFO['classes'][1:]
    tags = read_tag_file(out / 'image_labels.csv', classes)
    assert tags == {
        name: tuple(c for c in classes if c in objects)
        for name, objects in OBJECTS.items()
    }
    masks = out / 'SegmentationClassAug'
    assert {path.stem for path in masks.iterdir()} == set(OBJECTS)
    for name in (*TRAIN, *VAL):
        # VOC's own masks, not SBD's of the same images.
        official = out / f'SegmentationClass/{name}.png'
        assert (masks / f'{name}.png').read_bytes() == official.read_bytes()
    for name in EXTRA:
        assert np.array_equal(load_mask(masks / f'{name}.png'), sbd_mask(name))


def test_from_the_archives(tool, archives, tmp_path, capsys):
    voc, sbd = archives
    out = tmp_path / 'out'
    run(tool, voc, '--sbd', sbd, '--out', out)
    check_ready(out)
    assert not (out / 'SegmentationObject').exists()
    assert not (out / 'ImageSets/Main').exists()
    assert 'is ready' in capsys.readouterr().out
    dataset = VOCImageLabelDataset(
        'ImageSets/Segmentation/trainaug.txt',
        data_root=str(out),
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
    )
    # The config reads the XML; the table says the same.
    assert dataset[0]['image_labels'].sum() == 2


@pytest.mark.parametrize('given', ['.', 'VOCdevkit', 'VOCdevkit/VOC2012'])
def test_from_folders(tool, tmp_path, given):
    voc = spread(tmp_path / 'voc', voc_files())
    sbd = spread(tmp_path / 'sbd', sbd_files())
    run(tool, voc / given, '--sbd', sbd)
    check_ready(voc / 'VOCdevkit/VOC2012')


def test_an_interrupted_run_goes_on(tool, archives, tmp_path):
    voc, sbd = archives
    out = tmp_path / 'out'
    run(tool, voc, '--sbd', sbd, '--out', out)
    files = [path for path in sorted(out.rglob('*')) if path.is_file()]
    made = {'image_labels.csv', 'trainaug.txt'}
    before = {path: path.read_bytes() for path in files}
    kept = {
        path: path.stat().st_mtime_ns for path in files[::2] if path.name not in made
    }
    for path in files[1::2]:
        path.unlink()
    run(tool, voc, '--sbd', sbd, '--out', out)
    assert {path: path.read_bytes() for path in files} == before
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_list_is_enough_to_train(tool, tmp_path):
    voc = spread(tmp_path / 'voc', voc_files()) / 'VOCdevkit/VOC2012'
    lines = [
        f'/JPEGImages/{name}.jpg /SegmentationClassAug/{name}.png'
        for name in (*TRAIN, *EXTRA)
    ]
    (tmp_path / 'train_aug.txt').write_text('\n'.join(lines))
    run(tool, voc, '--trainaug', tmp_path / 'train_aug.txt', '--no-masks')
    found = read_id_list(voc / 'ImageSets/Segmentation/trainaug.txt')
    assert found == sorted((*TRAIN, *EXTRA))
    assert not (voc / 'SegmentationClassAug').exists()
    # From now on the list is known.
    (voc / 'image_labels.csv').unlink()
    run(tool, voc, '--no-masks')
    assert (voc / 'image_labels.csv').is_file()


def test_nothing_tells_the_images(tool, tmp_path, capsys):
    voc = spread(tmp_path, voc_files())
    message = refusal(tool, capsys, voc)
    assert 'trainaug.txt lists: add --sbd benchmark.tgz' in message
    assert not list(tmp_path.rglob('image_labels.csv'))


@pytest.mark.parametrize('which', ['voc', 'sbd'])
def test_another_archive_is_refused(tool, archives, tmp_path, capsys, which):
    voc, sbd = archives
    path = voc if which == 'voc' else sbd
    path.write_bytes(path.read_bytes()[:-700])
    message = refusal(tool, capsys, voc, '--sbd', sbd, '--out', tmp_path / 'out')
    assert f'{path} has the MD5 sum' in message
    assert 'not complete' in message


@pytest.mark.parametrize(
    'lost, match',
    [
        ('VOC2012/JPEGImages/2007_000001.jpg', 'JPEGImages has 4 of 5 files'),
        ('VOC2012/Annotations/2007_000001.xml', 'Annotations has 4 of 5 files'),
        ('VOC2012/ImageSets/Segmentation/train.txt', 'holds no ImageSets/Segm'),
        ('VOC2012/ImageSets/Segmentation/val.txt', 'no list file'),
    ],
)
def test_what_is_missing_is_named(tool, tmp_path, capsys, lost, match):
    voc = spread(tmp_path, voc_files())
    (voc / 'VOCdevkit' / lost).unlink()
    assert match in refusal(tool, capsys, voc, '--no-masks')


def test_wrong_lists_and_tags(tool, tmp_path, capsys):
    voc = spread(tmp_path / 'voc', voc_files())
    sbd = spread(tmp_path / 'sbd', sbd_files())
    (tmp_path / 'list').write_text('\n'.join(TRAIN))
    message = refusal(tool, capsys, voc, '--trainaug', tmp_path / 'list')
    assert 'list has 2 images instead of 4' in message
    (tmp_path / 'list').write_text('\n'.join((*TRAIN, *VAL, EXTRA[0])))
    message = refusal(tool, capsys, voc, '--trainaug', tmp_path / 'list')
    assert "0 images of trainaug are tagged 'sofa' instead of 1" in message
    listed = sbd / 'benchmark_RELEASE/dataset/train.txt'
    listed.write_text(f'{EXTRA[1]}\n')
    message = refusal(tool, capsys, voc, '--sbd', sbd)
    assert 'make 3 images of trainaug instead of 4' in message
    for path in listed.parent.glob('*.txt'):
        path.unlink()
    message = refusal(tool, capsys, voc, '--sbd', sbd)
    assert 'holds no dataset/train.txt' in message
    assert not list(voc.rglob('trainaug.txt'))


def test_sources_that_are_not_there(tool, archives, tmp_path, capsys):
    voc, _ = archives
    out = tmp_path / 'out'
    message = refusal(tool, capsys, tmp_path / 'none.tar', '--out', out)
    assert f'no archive or folder {tmp_path}/none.tar; get VOCtrainval_11' in message
    missing = ('--sbd', tmp_path / 'none.tgz')
    message = refusal(tool, capsys, voc, *missing, '--out', out)
    assert f'no archive or folder {tmp_path}/none.tgz; get benchmark.tgz' in message
    assert not out.exists()  # said before VOC is unpacked


@pytest.mark.parametrize(
    'content, match',
    [
        (b'no MATLAB file', 'holds no class mask'),
        (mat(np.zeros(SIZE, np.uint8))[:-40], 'holds no class mask'),
        (mat(np.full(SIZE, 21, np.uint8)), 'holds no class mask'),
        (mat(np.zeros((5, 5), np.uint8)), r'is (5, 5) (height, width), its image'),
    ],
)
def test_a_bad_mask_of_sbd(tool, tmp_path, capsys, content, match):
    voc = spread(tmp_path / 'voc', voc_files())
    files = {**sbd_files(), f'benchmark_RELEASE/dataset/cls/{EXTRA[0]}.mat': content}
    sbd = spread(tmp_path / 'sbd', files)
    message = refusal(tool, capsys, voc, '--sbd', sbd)
    assert match in message
    assert f'{EXTRA[0]}.mat' in message
    assert not list(voc.rglob(f'SegmentationClassAug/{EXTRA[0]}.png'))
