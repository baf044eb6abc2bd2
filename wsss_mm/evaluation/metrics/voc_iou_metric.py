"""IoU as the WSSS literature counts it, with the background-threshold curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from wsss_mm.evaluation.summary import (
    THRESHOLDS,
    class_table,
    plain_figures,
    score_curve,
    summarize,
    write_json,
)
from wsss_mm.functional import (
    confusion_counts,
    threshold_curve,
    threshold_histogram,
)
from wsss_mm.registry import METRICS
from wsss_mm.utils.errors import InputError

Sparse = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


@METRICS.register_module()
class VOCIoUMetric(BaseMetric):
    """Count IoU over all classes; for CAMs also at every background threshold.

    Segmentation predictions give `mIoU` in percent and the ratios `mFN` and `mFP`,
    which are left out when a class without a hit leaves them without a meaning.
    Predictions with a `cam` add `mIoU_best` and `best_threshold`, the maximum of
    the threshold curve: it looks at ground truth, so never choose the masks of a
    weakly supervised run by it.

    Args:
        threshold: Background threshold of `mIoU` for CAMs; None scores
            `pred_sem_seg` as the model made it.
        thresholds: Ascending background thresholds of the curve.
        ignore_index: True index of pixels that do not count.
        output_json: File for all figures, per class and per threshold.
        collect_device: Where ranks gather results, 'cpu' or 'gpu'.
        prefix: Put before the metric names.

    Note:
        mmseg's IoUMetric leaves a class that occurs nowhere out of the mean; here,
        as in SEAM's released code, it counts as zero.
    """

    def __init__(
        self,
        *,
        threshold: float | None = None,
        thresholds: Sequence[float] = THRESHOLDS,
        ignore_index: int = 255,
        output_json: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.threshold = threshold
        self.thresholds = tuple(thresholds)
        self.ignore_index = ignore_index
        self.output_json = output_json

    @property
    def class_names(self) -> tuple[str, ...]:
        """The K class names of the data set, background first."""
        meta = self.dataset_meta or {}
        names = tuple(meta.get('classes') or ())
        if len(names) < 2:
            raise InputError(
                'VOCIoUMetric needs the class names of the data set, background '
                f'first, got {names}: give the dataset metainfo=dict(classes=...)'
            )
        return names

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Count the pixels of a batch, one result per image."""
        for sample in data_samples:
            try:
                self.results.append(self._count(sample))
            except ValueError as error:
                name = sample.get('img_path', 'an image without a path')
                raise InputError(f'{name}: {error}') from error

    def _count(self, sample: dict[str, Any]) -> dict[str, Sparse]:
        num_classes = len(self.class_names)
        if 'gt_sem_seg' not in sample:
            raise InputError(
                'no ground truth to evaluate against; give the dataset its masks '
                '(data_prefix=dict(seg_map_path=...)) and load them in the test '
                'pipeline, or run without VOCIoUMetric'
            )
        gt = _mask(sample['gt_sem_seg'])
        counts = {}
        if 'cam' in sample:
            maps, present = _present_maps(sample['cam'], num_classes - 1)
            counts['histogram'] = _pack(
                threshold_histogram(
                    maps,
                    present,
                    gt,
                    num_classes=num_classes,
                    thresholds=self._all_thresholds(),
                    ignore=self.ignore_index,
                )
            )
        if 'cam' not in sample or self.threshold is None:
            prediction = _mask(sample['pred_sem_seg'])
            counts['confusion'] = _pack(
                confusion_counts(prediction, gt, num_classes, ignore=self.ignore_index)
            )
        return counts

    def _all_thresholds(self) -> tuple[float, ...]:
        fixed = () if self.threshold is None else (self.threshold,)
        return tuple(sorted({*self.thresholds, *fixed}))

    def compute_metrics(self, results: list[dict[str, Sparse]]) -> dict[str, float]:
        """Sum the counts of all images, log the class table, write the JSON.

        Raises:
            ValueError: If there is no result, or only some images have a CAM.
        """
        kinds = {tuple(sorted(result)) for result in results}
        if len(kinds) != 1:
            raise InputError(
                'VOCIoUMetric got no image'
                if not kinds
                else 'VOCIoUMetric got CAMs for some images and none for others'
            )
        names = self.class_names
        confusion, curve = self._sum(results, len(names))
        fixed = self.threshold if curve is not None else None
        summary = summarize(confusion, names, threshold=fixed, curve=curve)
        print_log('\n' + class_table(confusion, names), logger='current')
        if self.output_json is not None:
            write_json(self.output_json, {'images': len(results), **summary})
        keys = ('mIoU', 'mFN', 'mFP', 'mIoU_best', 'best_threshold')
        plain = plain_figures(summary)
        return {key: plain[key] for key in keys if plain.get(key) is not None}

    def _sum(
        self, results: list[dict[str, Sparse]], size: int
    ) -> tuple[npt.NDArray[np.int64], list[dict[str, float]] | None]:
        """Sum to the confusion that is reported and, for CAMs, the curve."""
        if 'histogram' not in results[0]:
            return _total(results, 'confusion', (size, size)), None
        thresholds = self._all_thresholds()
        histogram = _total(results, 'histogram', (len(thresholds) + 1, size, size))
        points = score_curve(histogram, thresholds)
        curve = [point for point in points if point['threshold'] in self.thresholds]
        if self.threshold is None:
            return _total(results, 'confusion', (size, size)), curve
        return threshold_curve(histogram)[thresholds.index(self.threshold)], curve


def _present_maps(
    cam: dict[str, Any], num_foreground: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Read the maps that are not zero, and their foreground indices.

    A converted PresentMaps has them; a PixelData has the maps of all classes.
    """
    found = cam['num_classes'] if 'maps' in cam else len(cam['data'])
    if found != num_foreground:
        raise InputError(
            f'the CAM has {found} channels, the data set {num_foreground} foreground '
            'classes: model and data set must agree'
        )
    if 'maps' in cam:
        return cam['maps'].float().cpu().numpy(), np.array(cam['classes'], np.int64)
    maps = cam['data'].float().cpu().numpy()
    # A map that is zero everywhere never exceeds a threshold.
    present = np.flatnonzero(maps.reshape(len(maps), -1).any(axis=1))
    return maps[present], present


def _mask(pixel_data: dict[str, Any]) -> npt.NDArray[Any]:
    """Read the mask (H, W) out of a converted PixelData (1, H, W)."""
    mask: npt.NDArray[Any] = pixel_data['data'].cpu().numpy()
    return mask[0] if mask.ndim == 3 else mask


def _pack(counts: npt.NDArray[np.int64]) -> Sparse:
    """Keep the entries that are not zero: a histogram is nearly empty."""
    flat = counts.reshape(-1)
    where = np.flatnonzero(flat)
    return where, flat[where]


def _total(
    results: list[dict[str, Sparse]], key: str, shape: tuple[int, ...]
) -> npt.NDArray[np.int64]:
    total = np.zeros(int(np.prod(shape)), dtype=np.int64)
    for result in results:
        where, counts = result[key]
        total[where] += counts
    return total.reshape(shape)
