"""The contract tester of CAM heads: what every one must do, on a tiny network.

`check_head(config)` runs over a head of anybody's: it builds, its losses sum, it trains
a step, and it predicts as the pipeline asks it to. `HEAD_CHECKS` holds the checks one
by one, for a test of each. They raise `AssertionError` with what is wrong.

    from wsss_mm.models.testing import check_head

    def test_my_head():
        check_head(dict(decode_head=dict(type='MyHead', in_channels=32)))
"""

import copy
from collections.abc import Callable

import torch
from mmengine.optim import OptimWrapper
from mmseg.structures import SegDataSample
from torch import Tensor

from wsss_mm.models.decode_heads.base_cam_head import BaseCAMHead, stack_image_labels
from wsss_mm.models.segmentors.cam_encoder_decoder import CAMEncoderDecoder
from wsss_mm.models.structures import Context, Features, View, identity
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

NAMES = ('background', 'bird', 'cat', 'dog')
LABELS = ((1, 0, 1), (0, 1, 0))
CHANNELS = (4, 8, 16, 32)
STRIDE = 16
"""Channels of the tiny backbone's four feature maps; the last one's stride."""


def tiny_network(config: dict) -> CAMEncoderDecoder:
    """Build a segmentor around a head, with the same weights every time.

    Args:
        config: What differs from a thin ResNet-18 over three classes: at least
            ``decode_head``, without ``num_classes``; ``neck`` and a
            ``data_preprocessor`` where the head needs them.

    Raises:
        AssertionError: If the head is no :class:`BaseCAMHead`.
    """
    plain = dict(type='SegDataPreProcessor', size_divisor=1)
    backbone = dict(
        type='ResNet',
        depth=18,
        stem_channels=4,
        base_channels=4,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 1),
    )
    model: dict = dict(
        type='CAMEncoderDecoder',
        data_preprocessor=plain,
        backbone=backbone,
        test_cfg=dict(normalization='max', background_threshold=0.2),
    )
    model |= copy.deepcopy(config)
    model['decode_head'] = dict(model['decode_head'], num_classes=len(NAMES))
    torch.manual_seed(0)
    network = MODELS.build(model)
    network.dataset_meta = dict(classes=NAMES)
    _expect(isinstance(network.decode_head, BaseCAMHead), 'it is not a BaseCAMHead')
    return network


def batch(
    labels: tuple[tuple[int, ...] | None, ...] = LABELS,
    size: tuple[int, int] = (64, 96),
    image_size: tuple[int, int] | None = None,
) -> dict:
    """Make images as a data loader gives them, without labels where they are None."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(len(labels), 3, *size, generator=generator)
    meta = dict(img_path='pond.jpg', ori_shape=image_size or size, img_shape=size)
    samples = []
    for one in labels:
        sample = SegDataSample(metainfo=meta)
        if one is not None:
            sample.image_labels = torch.tensor(one, dtype=torch.float32)
        samples.append(sample)
    return dict(inputs=list(images), data_samples=samples)


def context_of(
    features: Features | dict[str, Features],
    size: tuple[int, int],
    image_labels: Tensor | None = None,
) -> Context:
    """Make a context of features alone, for a test of a head alone.

    Args:
        features: Feature maps of the full view, or per view.
        size: (H, W) of the network's input.
        image_labels: As in :class:`Context`.
    """
    per_view = features if isinstance(features, dict) else {'full': features}
    views = {
        name: View(maps[-1].new_zeros((len(maps[-1]), 3, *size)), identity)
        for name, maps in per_view.items()
    }
    return Context(
        features=per_view,
        views=views,
        image_labels=image_labels,
        image_sizes=(size,) * len(views['full'].image),
    )


def predicted_maps(
    head: BaseCAMHead,
    features: Features,
    size: tuple[int, int],
    image_labels: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Predict, and bring the maps to the resolution that the head works at.

    Args:
        head: Any CAM head.
        features: Feature maps of the full view.
        size: (H, W) of the network's input.
        image_labels: As in :class:`Context`.

    Returns:
        CAMs, shape (B, C, h', w'), and the logits of the image labels, shape (B, C).
    """
    cams, logits = head.predict(context_of(features, size, image_labels))
    return torch.stack([head.to_input(cam, size) for cam in cams]), logits


def losses_on(
    head: BaseCAMHead,
    features: dict[str, Features],
    views: dict[str, View],
    data_samples: list,
) -> dict[str, Tensor]:
    """Compute the losses of a head alone.

    Args:
        head: Any CAM head.
        features: Per view its feature maps.
        views: Per view its image and what it does to a CAM.
        data_samples: Samples with ``image_labels``.
    """
    labels = stack_image_labels(data_samples, head.num_foreground)
    return head.loss(Context(features=features, views=views, image_labels=labels))


def check_contract(config: dict) -> None:
    """Check what a head says of itself, and the shapes of its raw CAM."""
    network = tiny_network(config).eval()
    head = network.decode_head
    for name in ('trainable', 'needs_gradients', 'linear'):
        _expect(isinstance(getattr(head, name), bool), f'{name} is not a bool')
    _expect(head.num_classes == len(NAMES), 'it has another number of classes')
    views = network.data_preprocessor(batch(), True)['inputs']
    if isinstance(views, Tensor):
        views = {'full': View(views, identity)}
    context = network.look(views, image_labels=torch.tensor(LABELS).float())
    cam = head.raw_cam(context)
    _expect(cam.ndim == 4, f'raw_cam has the shape {tuple(cam.shape)}')
    _expect(cam.shape[:2] == (2, 3), 'raw_cam is not over the foreground classes')
    given = torch.zeros_like(cam)
    found = head.raw_cam(context.with_cams({'full': given}))
    _expect(found is given, 'raw_cam computes again what the context holds')


def check_losses(config: dict) -> None:
    """Check that the losses are scalars whose keys are summed, all of them."""
    network = tiny_network(config)
    data = network.data_preprocessor(batch(), True)
    if not network.decode_head.trainable:
        _expect_refusal(lambda: network.loss(**data), 'needs no training')
        return
    losses = network.loss(**data)
    _expect(bool(losses), 'there is no loss')
    for name, loss in losses.items():
        _expect('loss' in name, f'{name} is not summed: its key lacks "loss"')
        _expect(loss.ndim == 0 and bool(loss.isfinite()), f'{name} is {loss}')
    total, _ = network.parse_losses(losses)
    torch.testing.assert_close(total, torch.stack(list(losses.values())).sum())


def check_training_step(config: dict) -> None:
    """Check that a step moves every weight of the head, and none without training."""
    network = tiny_network(config)
    head = network.decode_head
    learning = [name for name, p in head.named_parameters() if p.requires_grad]
    if not head.trainable:
        _expect(not learning, f'it is not trained, but {learning} would be')
        return
    # Weights of one size: initial ones may be too small for a step to be seen.
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    before = copy.deepcopy(head.state_dict())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    network.train_step(batch(), OptimWrapper(optimizer))
    after = head.state_dict()
    still = [name for name in learning if torch.equal(before[name], after[name])]
    _expect(not still, f'a step does not move {still}')


def check_odd_sizes(config: dict) -> None:
    """Check CAMs and masks of an input and an image file of odd sizes."""
    network = tiny_network(config).eval()
    data = batch(size=(53, 75), image_size=(61, 83))
    with torch.no_grad():
        samples = network.test_step(data)
    for sample, labels in zip(samples, LABELS):
        present = tuple(i for i, one in enumerate(labels) if one)
        _expect(sample.cam.classes == present, 'a CAM is not of the present classes')
        shape = tuple(sample.cam.maps.shape)
        _expect(shape == (len(present), 61, 83), f'a CAM has the shape {shape}')
        _expect(bool(sample.cam.maps.isfinite().all()), 'a CAM is not finite')
        _expect(sample.tag_scores.shape == (3,), 'tag_scores are not of all classes')
        found = set(sample.pred_sem_seg.data.unique().tolist())
        _expect(found <= {0, *(i + 1 for i in present)}, f'a mask holds {found}')


def check_without_labels(config: dict) -> None:
    """Check that a batch without image labels is predicted, over all classes."""
    network = tiny_network(config).eval()
    with torch.no_grad():
        samples = network.test_step(batch(labels=(None, None)))
    for sample in samples:
        _expect(sample.cam.classes == (0, 1, 2), 'a CAM is not of all classes')
        _expect(bool(sample.cam.maps.isfinite().all()), 'a CAM is not finite')


def check_other_class_counts(config: dict) -> None:
    """Check that labels over other classes are refused, in both modes."""
    network = tiny_network(config)
    labels = ((1, 0, 0, 1), (0, 1, 0, 0))
    data = network.data_preprocessor(batch(labels), True)
    _expect_refusal(lambda: network.loss(**data), 'tags over 4')
    _expect_refusal(lambda: network.eval().test_step(batch(labels)), 'tags over 4')
    small = dict(config, decode_head=dict(config['decode_head'], num_classes=1))

    def build() -> None:
        MODELS.build(small['decode_head'])

    _expect_refusal(build, 'num_classes is 1')


def check_batch(config: dict) -> None:
    """Check that a batch is predicted as its images one by one."""
    network = tiny_network(config).eval()
    data = batch()
    with torch.no_grad():
        together = network.test_step(copy.deepcopy(data))
        for i, one in enumerate(together):
            (single,) = network.test_step({k: v[i : i + 1] for k, v in data.items()})
            for name in ('seg_logits', 'cam'):
                found, alone = one.get(name).maps, single.get(name).maps
                atol = 1e-4 * float(alone.abs().max())
                torch.testing.assert_close(found, alone, rtol=1e-4, atol=atol)
            torch.testing.assert_close(one.tag_scores, single.tag_scores)


def check_no_traces(config: dict) -> None:
    """Check that prediction leaves no gradient, and its inputs as they were."""
    network = tiny_network(config).eval()
    data = batch()
    images = [image.clone() for image in data['inputs']]
    samples = network.test_step(data)
    traced = any(sample.seg_logits.maps.requires_grad for sample in samples)
    _expect(not traced, 'predicted maps keep their graph')
    left = [name for name, p in network.named_parameters() if p.grad is not None]
    _expect(not left, f'prediction leaves gradients in {left}')
    same = all(torch.equal(a, b) for a, b in zip(images, data['inputs']))
    _expect(same, 'prediction changes its images')


HEAD_CHECKS: tuple[Callable[[dict], None], ...] = (
    check_contract,
    check_losses,
    check_training_step,
    check_odd_sizes,
    check_without_labels,
    check_other_class_counts,
    check_batch,
    check_no_traces,
)


def check_head(config: dict) -> None:
    """Run every check over a head.

    Args:
        config: As :func:`tiny_network`.

    Raises:
        AssertionError: If the head does not keep the contract.
    """
    for check in HEAD_CHECKS:
        check(config)


def registered_heads(package: str = 'wsss_mm') -> dict[str, type[BaseCAMHead]]:
    """Find the CAM heads in the registry that a package defines, by their names."""
    return {
        name: kind
        for name, kind in MODELS.module_dict.items()
        if isinstance(kind, type)
        and issubclass(kind, BaseCAMHead)
        and kind.__module__.split('.')[0] == package
    }


def _expect(holds: bool, wrong: str) -> None:
    if not holds:
        raise AssertionError(wrong)


def _expect_refusal(act: Callable[[], object], message: str) -> None:
    try:
        act()
    except InputError as error:
        _expect(message in str(error), f'the refusal says {error}')
        return
    raise AssertionError(f'no InputError that says "{message}"')
