"""Look at images with a trained network, without a dataset."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device

from wsss_mm.apis.generate import needs_training
from wsss_mm.apis.images import ImageInputs, NamedImage, list_images
from wsss_mm.apis.refine import chain_steps, needs_affinity
from wsss_mm.apis.results import CAMResult, SegmentationResult
from wsss_mm.datasets.image_label_dataset import check_classes
from wsss_mm.datasets.tags import encode_tags
from wsss_mm.datasets.transforms.loading import run_pipeline
from wsss_mm.refinement import Seed, build_chain, seed_mask
from wsss_mm.refinement import refine as refine_seed
from wsss_mm.registry import DATASETS, MODELS
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.precision import autocast_on
from wsss_mm.workflow.launch import load_config, register_components
from wsss_mm.workflow.nested_datasets import plain_datasets
from wsss_mm.workflow.resume import check_start_weights
from wsss_mm.workflow.weights import load_start_weights, load_weights

Tags = Sequence[str] | Mapping[str, Sequence[str]]


class CAMInferencer:
    """Make CAMs, masks and tag scores of images with a trained CAM network.

    Example::

        inferencer = CAMInferencer('seam_r38_voc', 'work_dirs/seam_r38_voc/cam')
        (result,) = inferencer('street.jpg', tags=['car', 'person'])
        result.save('out')

    Args:
        config: Config of the CAM network: a path, or a name of those we ship.
        checkpoint: Its weights, or the folder it was trained into; None for a network
            that needs no training.
        multi_scale: Whether to fuse the scales and mirrors of the config's
            ``tta_pipeline``, as `generate_cams` does; else one scale, as
            MMSegmentation's own inferencer.
        threshold: Background threshold in [0, 1); the config's if None.
        device: Where to compute; a GPU where there is one, if None.
        amp: Whether the network computes in mixed precision.
        options: Config values to override, by dotted key.

    Raises:
        InputError: If config or checkpoint cannot be used.

    Reference:
        Zhou et al., CVPR 2016, and the method of the config.
    """

    def __init__(
        self,
        config: str | Path,
        checkpoint: str | Path | None = None,
        *,
        multi_scale: bool = False,
        threshold: float | None = None,
        device: str | None = None,
        amp: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        cfg = load_config(str(config), options)
        register_components(cfg)
        if checkpoint is None and needs_training(cfg):
            raise InputError(
                f'{config}: its network has to be trained; give the checkpoint, or the '
                'folder it was trained into'
            )
        if checkpoint is None:
            check_start_weights(cfg, what='network')
        if threshold is not None:
            cfg.model.test_cfg.background_threshold = threshold
        self.network = Network(
            cfg, checkpoint, views=multi_scale, device=device, amp=amp
        )
        self.cfg = cfg

    def __call__(
        self,
        images: ImageInputs,
        *,
        tags: Tags | Sequence[Tags] | None = None,
        refine: str | None = None,
    ) -> list[CAMResult]:
        """Predict images and keep all results.

        Args:
            images: A path, a folder, a BGR array, uint8 (H, W, 3), or several of these.
            tags: Names of the classes in the image; for several images a list of them
                each, or a mapping from the image's name. None lets all classes compete.
            refine: Chain of the config that makes the masks, such as ``crf``; a chain
                along an affinity network needs `refine_masks`. None takes the masks of
                the CAMs alone.

        Returns:
            One result for each image, in order.

        Raises:
            InputError: If an image cannot be read, a tag is not a class, or there is
                no such chain.
        """
        return list(self.iterate(images, tags=tags, refine=refine))

    def iterate(
        self,
        images: ImageInputs,
        *,
        tags: Tags | Sequence[Tags] | None = None,
        refine: str | None = None,
    ) -> Iterator[CAMResult]:
        """Predict images one after the other; arguments as of a call."""
        found = list_images(images)
        chain = None if refine is None else build_local_chain(self.cfg, refine)
        for image, own in zip(found, tags_of_images(found, tags)):
            yield self._predict(image, own, chain=chain)

    def _predict(
        self, image: NamedImage, tags: Sequence[str] | None, *, chain: Any
    ) -> CAMResult:
        """Predict one image."""
        names = self.network.class_names
        fields = {}
        if tags is not None:
            fields['image_labels'] = self.network.encode(tags)
        sample = self.network.predict(image, fields)
        indices = torch.as_tensor(sample.cam.classes, dtype=torch.int64).numpy()
        cams = sample.cam.maps.float().cpu().numpy()
        pixels, mask = image.read(), sample.pred_sem_seg.data[0].cpu().numpy()
        if chain is not None:
            background = np.zeros((1, *pixels.shape[:2]), np.float32)
            seed = Seed(pixels, indices, np.concatenate([background, cams]))
            mask = seed_mask(refine_seed(seed, chain))
        scores = sample.tag_scores.float().cpu().tolist()
        return CAMResult(
            name=image.name,
            image=pixels,
            classes=tuple(names[index + 1] for index in indices),
            cams=cams,
            mask=mask.astype(np.uint8),
            tag_scores=dict(zip(names[1:], scores)),
            class_names=names,
            palette=self.network.palette,
            path=image.path,
        )


class SegmentationInferencer:
    """Make masks of images with a trained segmenter.

    Example::

        inferencer = SegmentationInferencer('my_deeplabv1.py', 'work_dirs/my/segmenter')
        (result,) = inferencer('street.jpg')
        result.save('out')

    Args:
        config: Config of the segmenter: a path, or a name of those we ship.
        checkpoint: Its weights, or the folder it was trained into.
        multi_scale: Whether to fuse the scales and mirrors of ``tta_pipeline``.
        device: Where to compute; a GPU where there is one, if None.
        amp: Whether the network computes in mixed precision.
        options: Config values to override, by dotted key.

    Raises:
        InputError: If config or checkpoint cannot be used.

    Reference:
        The segmenter's config; DeepLab's four versions are Chen et al.,
        arXiv:1412.7062, 1606.00915, 1706.05587 and 1802.02611.
    """

    def __init__(
        self,
        config: str | Path,
        checkpoint: str | Path,
        *,
        multi_scale: bool = False,
        device: str | None = None,
        amp: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        cfg = load_config(str(config), options)
        register_components(cfg)
        self.network = Network(
            cfg, checkpoint, views=multi_scale, device=device, amp=amp
        )

    def __call__(self, images: ImageInputs) -> list[SegmentationResult]:
        """Predict images and keep all results.

        Args:
            images: A path, a folder, a BGR array, uint8 (H, W, 3), or several of these.

        Returns:
            One result for each image, in order.

        Raises:
            InputError: If an image cannot be read.
        """
        return list(self.iterate(images))

    def iterate(self, images: ImageInputs) -> Iterator[SegmentationResult]:
        """Predict images one after the other; arguments as of a call."""
        for image in list_images(images):
            sample = self.network.predict(image, {})
            mask = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
            yield SegmentationResult(
                name=image.name,
                image=image.read(),
                mask=mask,
                class_names=self.network.class_names,
                palette=self.network.palette,
                path=image.path,
            )


class Network:
    """A network with its weights, and its test pipelines for files and arrays.

    Args:
        cfg: Config whose components are registered.
        checkpoint: Weights, or None for a network that needs no training.
        views: Whether to predict the scales and mirrors of ``tta_pipeline``.
        device: Where to compute; a GPU where there is one, if None.
        amp: Whether to compute in mixed precision.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str | Path | None,
        *,
        views: bool,
        device: str | None,
        amp: bool = False,
    ) -> None:
        tested = plain_datasets(cfg.test_dataloader.dataset)[0]
        data = dict(tested, pipeline=[], lazy_init=True)
        self.meta = DATASETS.build(data).metainfo
        check_classes(self.meta.get('classes'))
        if checkpoint is not None and cfg.model.get('backbone') is not None:
            cfg.model.backbone.init_cfg = None
        module = MODELS.build(cfg.model)
        if checkpoint is None:
            load_start_weights(module)
        else:
            load_weights(module, checkpoint)
        module.dataset_meta = self.meta
        self.model: Any = module
        steps = tested.pipeline
        if views:
            steps = cfg.tta_pipeline
            self.model = MODELS.build(dict(cfg.tta_model, module=module))
        self.device, self.amp = device or get_device(), amp
        self.model.to(self.device).eval()
        self.for_files = Compose(steps)
        self.for_arrays = Compose([dict(type='LoadImageFromNDArray'), *steps[1:]])

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the K classes, background first."""
        return tuple(self.meta['classes'])

    @property
    def palette(self) -> Sequence[Sequence[int]]:
        """RGB colour of each class."""
        palette: Sequence[Sequence[int]] = self.meta['palette']
        return palette

    def encode(self, tags: Sequence[str]) -> npt.NDArray[np.float32]:
        """Write tags as zeros and ones over the foreground classes, (C,).

        Raises:
            InputError: If a tag is not a class.
        """
        foreground = self.class_names[1:]
        unknown = sorted(set(tags) - set(foreground))
        if unknown:
            raise InputError(
                f'tag {unknown[0]!r} is not a class of this network; it knows '
                f'{", ".join(foreground)}'
            )
        encoded: npt.NDArray[np.float32] = encode_tags(list(tags), foreground)
        return encoded

    def predict(self, image: NamedImage, fields: dict[str, Any]) -> Any:
        """Predict one image; give its data sample."""
        pipeline = self.for_files if image.array is None else self.for_arrays
        packed = run_pipeline(pipeline, {**image.results(), **fields})
        with torch.no_grad(), autocast_on(self.device, enabled=self.amp):
            (sample,) = self.model.test_step(pseudo_collate([packed]))
        return sample


def build_local_chain(cfg: Config, chain: str) -> Any:
    """Build a chain of refiners that looks at one image alone.

    Raises:
        InputError: If there is no such chain, or it walks along an affinity network.
    """
    if needs_affinity(cfg, chain):
        raise InputError(
            f'the chain {chain} walks along an affinity network: use refine_masks, or '
            'a chain such as crf or pamr'
        )
    return build_chain({chain: chain_steps(cfg, chain)}, chain)


def tags_of_images(
    images: Sequence[NamedImage], tags: Tags | Sequence[Tags] | None
) -> list[Sequence[str] | None]:
    """Give every image its tags.

    Raises:
        InputError: If the tags are not a list for each image, or an image has none.
    """
    if tags is None:
        return [None] * len(images)
    if isinstance(tags, str):
        raise InputError(f"tags={tags!r}; give a list of names: ['{tags}']")
    if isinstance(tags, Mapping):
        lacking = [image.name for image in images if image.name not in tags]
        if lacking:
            raise InputError(
                f'no tags for image {lacking[0]!r}; give [] if it has none'
            )
        return [tags[image.name] for image in images]
    given: list[Any] = list(tags)
    if all(isinstance(one, str) for one in given):
        # The names of one image, or of all.
        return [given] * len(images)
    if len(given) != len(images):
        raise InputError(f'{len(given)} lists of tags for {len(images)} images')
    return given
