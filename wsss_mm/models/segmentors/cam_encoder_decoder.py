"""The segmentor of every CAM method, and its multi-scale form."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseTTAModel
from mmengine.structures import BaseDataElement, PixelData
from mmseg.models import EncoderDecoder
from torch import Tensor

from wsss_mm.functional import (
    cam_to_mask,
    max_views,
    normalize_max,
    normalize_min_max,
    sum_views,
)
from wsss_mm.models.data_preprocessors import View
from wsss_mm.models.data_preprocessors.views import identity
from wsss_mm.models.decode_heads.cam_head import check_tag_count, stack_image_labels
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

NORMALIZATIONS = {'min_max': normalize_min_max, 'max': normalize_max}


def to_original(cam: Tensor, metainfo: dict) -> Tensor:
    """Bring one predicted CAM back to its image file's frame.

    Args:
        cam: CAM of a network input, shape (C, h, w).
        metainfo: The sample's ``ori_shape`` and, if mirrored, ``flip``.

    Returns:
        The CAM at the image's own size, un-mirrored, shape (C, H, W).
    """
    full = F.interpolate(
        cam[None], metainfo['ori_shape'][:2], mode='bilinear', align_corners=False
    )[0]
    if not metainfo.get('flip', False):
        return full
    return full.flip(-1 if metainfo['flip_direction'] == 'horizontal' else -2)


@MODELS.register_module()
class CAMEncoderDecoder(EncoderDecoder):
    """Run the network on each view of a batch; predict CAMs and their masks.

    Training takes the views of a data wrapper, or plain images as the single
    view ``'full'``. Predicted samples carry ``seg_logits`` (raw CAM of the tags'
    classes), ``cam`` (normalised), ``pred_sem_seg`` and ``tag_scores``.
    ``test_cfg`` holds ``normalization`` ('min_max' as SEAM, or 'max' as
    AffinityNet) and ``background_threshold``.

    Note:
        mmseg's own ``EncoderDecoder`` takes the argmax over foreground channels
        alone and cannot see the tags, so plain CAM uses this segmentor too.
    """

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the features, with the neck's embedding where there is one."""
        features = tuple(self.backbone(inputs))
        if not self.with_neck:
            return features
        if getattr(self.neck, 'takes_image', False):
            return self.neck(features, inputs)
        return tuple(self.neck(features))

    def loss(self, inputs: dict[str, View] | Tensor, data_samples: list) -> dict:
        """Compute the head's losses over all views of a batch."""
        if isinstance(inputs, Tensor):
            inputs = {'full': View(inputs, identity)}
        features = {n: self.extract_feat(view.image) for n, view in inputs.items()}
        return self.decode_head.loss(features, inputs, data_samples)

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        """Predict the CAM, mask and tag scores of every image of a batch.

        Raises:
            ValueError: If there are no samples, or their tags do not fit the head.
        """
        if data_samples is None:
            raise InputError(
                'CAM prediction needs data_samples: the size of the image file and, '
                'for masks, its tags'
            )
        cams, logits = self.predict_cams(inputs, data_samples)
        for sample, cam, scores in zip(data_samples, cams, logits.sigmoid()):
            raw = to_original(cam, sample.metainfo)
            if 'image_labels' in sample:
                check_tag_count(sample, len(raw))
                raw = raw * sample.image_labels[:, None, None]
            self.decide(sample, raw, scores)
        return data_samples

    def predict_cams(self, inputs: Tensor, data_samples: list) -> tuple[Tensor, Tensor]:
        """Run the network and its head; a head that ``takes_tags`` sees the tags."""
        features, size = self.extract_feat(inputs), tuple(inputs.shape[-2:])
        if not getattr(self.decode_head, 'takes_tags', False):
            return self.decode_head.predict(features, size)
        labels = None
        if any('image_labels' in sample for sample in data_samples):
            foreground = self.decode_head.num_classes - 1
            labels = stack_image_labels(data_samples, foreground)
        return self.decode_head.predict(features, size, labels)

    def decide(self, sample: BaseDataElement, raw: Tensor, tag_scores: Tensor) -> None:
        """Write a CAM, its normalised form and its mask into a sample.

        Args:
            sample: The ``SegDataSample`` to fill.
            raw: Raw CAM, absent classes zero, shape (C, H, W).
            tag_scores: Probability of each tag, shape (C,).
        """
        name = self.test_cfg['normalization']
        if name not in NORMALIZATIONS:
            raise InputError(
                f"test_cfg.normalization is '{name}', expected one of "
                f'{sorted(NORMALIZATIONS)}'
            )
        present = raw.new_ones(len(raw))
        if 'image_labels' in sample:
            present = sample.image_labels
        classes = present.nonzero().flatten()
        cam = torch.zeros_like(raw)
        if len(classes):
            cam[classes] = NORMALIZATIONS[name](raw[classes])
        mask = cam_to_mask(
            cam[classes].detach().cpu().numpy(),
            classes.cpu().numpy(),
            threshold=self.test_cfg['background_threshold'],
        )
        sample.set_data(
            dict(
                seg_logits=PixelData(data=raw),
                cam=PixelData(data=cam),
                pred_sem_seg=PixelData(
                    data=torch.from_numpy(mask)[None].long().to(raw.device)
                ),
                tag_scores=tag_scores,
            )
        )


@MODELS.register_module()
class CAMTTAModel(BaseTTAModel):
    """Sum raw CAMs over scales and mirrors, then normalise once.

    An image and its mirror share a forward pass.

    Reference:
        The multi-scale inference of SEAM and AffinityNet (released code).
    """

    fuse = staticmethod(sum_views)

    def test_step(self, data: dict) -> list:
        """Predict one batch of views made by mmseg's ``TestTimeAug``."""
        views = [
            {key: value[i] for key, value in data.items()}
            for i in range(len(data['data_samples']))
        ]
        groups: list[list[dict]] = []
        for view in views:
            if groups and same_sizes(groups[-1][0]['inputs'], view['inputs']):
                groups[-1].append(view)
            else:
                groups.append([view])
        predictions = []
        for group in groups:
            batch = {key: [x for view in group for x in view[key]] for key in group[0]}
            samples = self.module.test_step(batch)
            size = len(samples) // len(group)
            predictions += [samples[i : i + size] for i in range(0, len(samples), size)]
        return self.merge_preds(list(zip(*predictions)))

    def merge_preds(self, data_samples_list: list) -> list:
        """Fuse the views of each image into one prediction."""
        merged = []
        for views in data_samples_list:
            raw = self.fuse([view.seg_logits.data for view in views])
            scores = torch.stack([view.tag_scores for view in views]).mean(dim=0)
            self.module.decide(views[0], raw, scores)
            merged.append(views[0])
        return merged


@MODELS.register_module()
class MaxCAMTTAModel(CAMTTAModel):
    """Take the maximum of CAMs over scales and mirrors, for maps in [0, 1].

    Reference:
        The fusion of an image with its mirror in SeeNet's released notebook.
    """

    fuse = staticmethod(max_views)


def same_sizes(first: list[Tensor], second: list[Tensor]) -> bool:
    """Tell whether two lists hold images of the same sizes."""
    return [image.shape for image in first] == [image.shape for image in second]
