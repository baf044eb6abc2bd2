"""Background scores for CAMs that have none, and what the AffinityNet learns from.

References:
    Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level
    Supervision" (AffinityNet), CVPR 2018, arXiv:1803.10464, section 3.2, and its
    released code, https://github.com/jiwoon-ahn/psa.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .dense_crf import CRFParameters, dense_crf_joint, soft_unary


def power_background(cams: npt.NDArray[Any], alpha: float) -> npt.NDArray[np.float32]:
    """Score the background as a power of one minus the strongest class.

    Args:
        cams: Normalised CAMs of the classes present, shape (n, H, W); n may be 0.
        alpha: The power, positive; more gives less background.

    Returns:
        Scores, shape (H, W), in [0, 1]: one where no class is active, zero where a
        class reaches one or more.

    Raises:
        ValueError: If the shape is wrong, a value is not finite or alpha is not
            positive.

    Note:
        The maximum goes over all classes of the dataset, of which the absent ones
        score zero, as where PSA and SEAM prepare the random walk. Normalised CAMs of
        SEAM may be far below zero. Before a dense CRF their codes look at the classes
        present alone, which `soft_unary` clips to the same.

    Example:
        >>> power_background(np.array([[[0.0, 0.5, 1.0]]]), 2).tolist()
        [[1.0, 0.25, 0.0]]
    """
    cams = _check(cams)
    if not (math.isfinite(alpha) and alpha > 0):
        raise ValueError(f'alpha must be a positive number, got {alpha}')
    if len(cams) == 0:
        return np.ones(cams.shape[1:], dtype=np.float32)
    # Absent classes score zero, so no pixel is less active than that.
    rest = np.clip(1 - cams.max(axis=0), 0, 1)
    return np.asarray(rest**alpha, dtype=np.float32)


def threshold_background(
    cams: npt.NDArray[Any], threshold: float
) -> npt.NDArray[np.float32]:
    """Give the background the same score everywhere.

    Args:
        cams: CAMs of the classes present, shape (n, H, W); n may be 0.
        threshold: The score, not negative.

    Returns:
        Scores, shape (H, W).

    Raises:
        ValueError: If the shape is wrong, a value is not finite or the threshold is
            negative.

    Example:
        >>> threshold_background(np.zeros((0, 1, 2)), 0.25).tolist()
        [[0.25, 0.25]]
    """
    cams = _check(cams)
    if not (math.isfinite(threshold) and threshold >= 0):
        raise ValueError(f'threshold must be a number >= 0, got {threshold}')
    return np.full(cams.shape[1:], threshold, dtype=np.float32)


def seed_scores(
    image: npt.NDArray[np.uint8],
    cams: npt.NDArray[Any],
    parameters: CRFParameters,
    *,
    low_alpha: float,
    high_alpha: float,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Make the scores that tell an AffinityNet which pixels are certain.

    A class that wins against the amplified background of the low alpha is certain;
    so is a background that wins with the damped one of the high alpha. Both go
    through a dense CRF, their labels together.

    Args:
        image: Colours in 0..255, shape (H, W, 3).
        cams: Normalised CAMs of the classes present, shape (n, H, W); n may be 0.
        parameters: Of the CRF; PSA and SEAM take ``soft``.
        low_alpha: Power of the amplified background; 4 in PSA and SEAM.
        high_alpha: Power of the damped one; 32 in PSA, 24 in SEAM.

    Returns:
        Scores with the low and with the high alpha, background first, each of shape
        (n + 1, H, W).

    Raises:
        ValueError: If shapes do not fit, a value is not finite or the alphas are
            not ascending.
        ImportError: If pydensecrf is not installed.
    """
    if not 0 < low_alpha < high_alpha:
        raise ValueError(
            f'0 < low_alpha < high_alpha must hold, got {low_alpha} and {high_alpha}'
        )
    cams = _check(cams)
    unaries = [
        soft_unary(np.concatenate([power_background(cams, alpha)[None], cams]))
        for alpha in (low_alpha, high_alpha)
    ]
    low, high = dense_crf_joint(image, np.stack(unaries), parameters)
    return low, high


def _check(cams: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Refuse anything but finite numbers of shape (n, H, W)."""
    cams = np.asarray(cams, dtype=np.float32)
    if cams.ndim != 3 or 0 in cams.shape[1:]:
        raise ValueError(f'cams must have the shape (n, H, W), got {cams.shape}')
    if not np.isfinite(cams).all():
        raise ValueError('cams must be finite, got NaN or infinity')
    return cams
