"""Dense CRF: snap scores to the edges of the image.

Reference:
    Krähenbühl and Koltun, "Efficient Inference in Fully Connected CRFs with
    Gaussian Edge Potentials", NeurIPS 2011, through their implementation in
    pydensecrf; the parameter sets are those of the methods' released codes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

SMALLEST = 1e-5  # of a probability, before its logarithm
HOW_TO_INSTALL = (
    'dense CRF needs the module pydensecrf: pip install -r requirements/crf.txt '
    '(pip install pydensecrf2==1.1). It is compiled on installation, with a C++ '
    'compiler and the headers of Python'
)

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CRFParameters:
    """What a mean-field inference is run with.

    Attributes:
        iterations: Mean-field steps.
        gaussian_sxy: Reach of the smoothness kernel, in pixels.
        gaussian_compat: Its weight.
        bilateral_sxy: Reach of the appearance kernel, in pixels.
        bilateral_srgb: Its reach in colour, in grey levels.
        bilateral_compat: Its weight.
    """

    iterations: int
    gaussian_sxy: float = 3
    gaussian_compat: float = 3
    bilateral_sxy: float = 80
    bilateral_srgb: float = 13
    bilateral_compat: float = 10

    def __post_init__(self) -> None:
        if self.iterations < 0:
            raise ValueError(f'iterations must not be negative: {self.iterations}')
        if min(self.gaussian_sxy, self.bilateral_sxy, self.bilateral_srgb) <= 0:
            raise ValueError(f'the reach of a CRF kernel must be positive: {self}')

    def scaled(self, factor: float) -> 'CRFParameters':
        """Fit the parameters to images that are smaller by a factor.

        Args:
            factor: Size of the images they were made for, relative to the new ones.
        """
        return replace(
            self,
            gaussian_sxy=self.gaussian_sxy / factor,
            bilateral_sxy=self.bilateral_sxy / factor,
        )


# soft: AffinityNet's and SEAM's CAMs. soft1: SEAM's masks after the random walk.
# retrain: SEAM's DeepLab. label, label1: IRN's and Puzzle-CAM's hard labels.
CRF_PARAMETERS = {
    'soft': CRFParameters(10),
    'soft1': CRFParameters(1),
    'retrain': CRFParameters(1, bilateral_sxy=32),
    'label': CRFParameters(10, bilateral_sxy=50, bilateral_srgb=5),
    'label1': CRFParameters(1, bilateral_sxy=50, bilateral_srgb=5),
}


def soft_unary(scores: npt.ArrayLike) -> Array:
    """Turn scores into unary energies, -ln of the clipped score.

    Args:
        scores: One map for each label, clipped to [1e-5, 1], shape (K, H, W). They
            need not sum to one.

    Returns:
        Energies, shape (K, H, W).

    Raises:
        ValueError: If the scores are no finite (K, H, W) maps.

    Example:
        >>> print(soft_unary(np.array([[[0.5, 2.0, -1.0]]])).round(3))
        [[[ 0.693 -0.    11.513]]]
    """
    maps = np.asarray(scores, dtype=np.float32)
    if maps.ndim != 3 or 0 in maps.shape or not np.isfinite(maps).all():
        raise ValueError(f'scores must be finite maps (K, H, W), got {maps.shape}')
    energies: Array = -np.log(np.clip(maps, np.float32(SMALLEST), np.float32(1)))
    return energies


def label_unary(
    labels: npt.ArrayLike, num_labels: int, *, confidence: float = 0.7
) -> Array:
    """Turn a label for each pixel into unary energies.

    Args:
        labels: Labels in 0..K-1, shape (H, W).
        num_labels: K, at least 2.
        confidence: Probability that a pixel's label is right; the other labels
            share the rest.

    Returns:
        Energies, shape (K, H, W).

    Raises:
        ValueError: If a label is out of range, or the confidence is not in (0, 1).

    Example:
        >>> print(label_unary(np.array([[0, 1]]), 3, confidence=0.5).round(3)[:, 0])
        [[0.693 1.386]
         [1.386 0.693]
         [1.386 1.386]]
    """
    given = np.asarray(labels)
    if num_labels < 2 or not 0 < confidence < 1:
        raise ValueError(
            f'num_labels must be at least 2 and confidence in (0, 1), got {num_labels} '
            f'and {confidence}'
        )
    if given.ndim != 2 or given.dtype.kind not in 'iu' or given.size == 0:
        raise ValueError(f'labels must be integers (H, W), got {given.shape}')
    if given.min() < 0 or given.max() >= num_labels:
        raise ValueError(f'labels must be in 0..{num_labels - 1}, got {given.max()}')
    chosen = np.arange(num_labels)[:, None, None] == given
    right, wrong = -np.log(confidence), -np.log((1 - confidence) / (num_labels - 1))
    return np.where(chosen, right, wrong).astype(np.float32)


def dense_crf(
    image: npt.NDArray[np.uint8], unary: npt.ArrayLike, parameters: CRFParameters
) -> Array:
    """Infer the labels' probabilities by mean field.

    Args:
        image: RGB image, shape (H, W, 3).
        unary: Energies of the labels, shape (K, H, W), as `soft_unary` or
            `label_unary` make them.
        parameters: Iterations and kernels.

    Returns:
        Probabilities, summing to one over the labels, shape (K, H, W).

    Raises:
        ValueError: If the shapes do not fit, or pydensecrf is not installed.
    """
    return dense_crf_all(image, [unary], parameters)[0]


def dense_crf_all(
    image: npt.NDArray[np.uint8],
    unaries: Sequence[npt.ArrayLike],
    parameters: CRFParameters,
) -> list[Array]:
    """Infer several unaries of one image, which share its lattice.

    The lattice depends on the image alone and is the same for all; the results
    equal those of separate calls bit by bit. Filtering the labels of all unaries
    in one pass would save more, but pydensecrf normalises over all the labels that
    it is given, so that the problems would mix.

    Args:
        image: RGB image, shape (H, W, 3).
        unaries: Energies with equally many labels, each of shape (K, H, W).
        parameters: Iterations and kernels.

    Returns:
        Probabilities for each of the unaries, shape (K, H, W) each.

    Raises:
        ValueError: As `dense_crf`, or if the unaries differ in shape.
    """
    energies = [np.ascontiguousarray(unary, dtype=np.float32) for unary in unaries]
    if not energies:
        return []
    _check(image, energies)
    labels, height, width = energies[0].shape
    if labels == 1:
        return [np.ones_like(energy) for energy in energies]
    crf = _new_crf(image, labels, parameters)
    results = []
    for energy in energies:
        crf.setUnaryEnergy(energy.reshape(labels, -1))
        inferred = np.array(crf.inference(parameters.iterations), dtype=np.float32)
        results.append(inferred.reshape(labels, height, width))
    return results


def _new_crf(
    image: npt.NDArray[np.uint8], labels: int, parameters: CRFParameters
) -> Any:
    """Build the CRF of an image: its two kernels, no unary yet."""
    try:
        from pydensecrf.densecrf import DenseCRF2D
    except ImportError as error:
        raise ValueError(HOW_TO_INSTALL) from error
    height, width = image.shape[:2]
    crf = DenseCRF2D(width, height, labels)
    # The kernels keep the order of the reference: gaussian, then bilateral.
    crf.addPairwiseGaussian(
        sxy=parameters.gaussian_sxy, compat=parameters.gaussian_compat
    )
    crf.addPairwiseBilateral(
        sxy=parameters.bilateral_sxy,
        srgb=parameters.bilateral_srgb,
        rgbim=np.array(image, order='C'),  # a buffer that may be written to
        compat=parameters.bilateral_compat,
    )
    return crf


def _check(image: npt.NDArray[np.uint8], energies: Sequence[Array]) -> None:
    """Refuse an image and energies that do not belong together."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f'image must be uint8 RGB (H, W, 3), got {image.dtype} {image.shape}'
        )
    for energy in energies:
        if energy.ndim != 3 or energy.shape[1:] != image.shape[:2]:
            raise ValueError(
                f'unary must have the shape (K, H, W) of an image '
                f'{image.shape[:2]}, got {energy.shape}'
            )
        if len(energy) != len(energies[0]):
            raise ValueError('unaries of one image must have equally many labels')
        if not np.isfinite(energy).all():
            raise ValueError('unary energies must be finite')
