"""Mean average precision of the image tags that a CAM network predicts."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from wsss_mm.registry import METRICS
from wsss_mm.utils.errors import InputError


@METRICS.register_module()
class TagMAPMetric(BaseMetric):
    """Score `tag_scores` against `image_labels` with mmpretrain's multi-label mAP.

    `tag_mAP`, in percent, is the mean over the classes that occur among the
    labels; a class without a positive image has no average precision.

    Args:
        collect_device: Where ranks gather results, 'cpu' or 'gpu'.
        prefix: Put before the metric name.
    """

    def __init__(
        self, *, collect_device: str = 'cpu', prefix: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep scores and labels of a batch."""
        for sample in data_samples:
            for field in ('tag_scores', 'image_labels'):
                if field not in sample:
                    raise InputError(
                        f'{sample.get("img_path")}: the prediction has no {field}; '
                        'TagMAPMetric needs a CAM network and image tags'
                    )
            scores = sample['tag_scores'].detach().float().cpu()
            labels = sample['image_labels'].float().cpu()
            if scores.shape != labels.shape:
                raise InputError(
                    f'{sample.get("img_path")}: {tuple(scores.shape)} tag scores '
                    f'but {tuple(labels.shape)} labels: model and data set must '
                    'have the same foreground classes'
                )
            self.results.append((scores, labels))

    def compute_metrics(self, results: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """Compute the mean average precision over all images."""
        # mmpretrain is heavy and only this metric needs it.
        from mmpretrain.evaluation import AveragePrecision

        if not results:
            raise InputError('TagMAPMetric got no image')
        scores, labels = (torch.stack(column) for column in zip(*results))
        present = labels.sum(dim=0) > 0
        if not present.any():
            raise InputError('TagMAPMetric got no image with a tag')
        average = AveragePrecision.calculate(scores, labels, average=None)
        names = tuple((self.dataset_meta or {}).get('classes', ()))[1:]
        if len(names) == len(average):
            pairs = zip(names, average.tolist(), present.tolist())
            text = ', '.join(f'{name} {ap:.1f}' for name, ap, seen in pairs if seen)
            print_log(f'tag AP: {text}', logger='current')
        return {'tag_mAP': float(average[present].mean())}
