"""Dense CRF: move the borders of scores to the edges of the image.

References:
    Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with
    Gaussian Edge Potentials", NIPS 2011, arXiv:1210.5644.
    The parameters are those of the released code of PSA, SEAM, IRN and Puzzle-CAM,
    which call pydensecrf, https://github.com/lucasb-eyer/pydensecrf.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

CLIP = 1e-5
# Below this the scores of a group have lost digits to float32's smallest numbers.
SMALLEST_SUM = 1e-30
INSTALL = (
    'dense CRF needs the module pydensecrf: pip install -r requirements/crf.txt '
    '(or: pip install pydensecrf2==1.1; it is compiled, which takes a C++ compiler '
    'and the headers of Python, on Debian or Ubuntu: apt-get install g++ python3-dev)'
)


@dataclass(frozen=True, kw_only=True)
class CRFParameters:
    """Strength and reach of the two pairwise terms of a dense CRF.

    Attributes:
        iterations: Mean-field steps.
        gaussian_sxy: Reach of the smoothness term, in pixels.
        gaussian_compat: Its Potts weight.
        bilateral_sxy: Reach of the appearance term, in pixels.
        bilateral_srgb: Its reach in colour, in grey levels of 0..255.
        bilateral_compat: Its Potts weight.

    Raises:
        ValueError: If a number is out of range.
    """

    iterations: int
    gaussian_sxy: float = 3.0
    gaussian_compat: float = 3.0
    bilateral_sxy: float = 80.0
    bilateral_srgb: float = 13.0
    bilateral_compat: float = 10.0

    def __post_init__(self) -> None:
        if isinstance(self.iterations, bool) or self.iterations != int(self.iterations):
            raise ValueError(f'iterations must be whole, got {self.iterations}')
        if self.iterations < 0:
            raise ValueError(f'iterations must not be negative, got {self.iterations}')
        for name in ('gaussian_sxy', 'bilateral_sxy', 'bilateral_srgb'):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f'{name} must be a positive number, got {value}')
        for name in ('gaussian_compat', 'bilateral_compat'):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f'{name} must be a number >= 0, got {value}')

    def scaled(self, scale_factor: float) -> 'CRFParameters':
        """Divide the reach in pixels by a factor, for an image that is smaller.

        Args:
            scale_factor: How many times smaller the image is, positive.

        Example:
            >>> CRF_PARAMETERS['soft'].scaled(4).bilateral_sxy
            20.0
        """
        if not (math.isfinite(scale_factor) and scale_factor > 0):
            raise ValueError(f'scale_factor must be positive, got {scale_factor}')
        return replace(
            self,
            gaussian_sxy=self.gaussian_sxy / scale_factor,
            bilateral_sxy=self.bilateral_sxy / scale_factor,
        )


# soft: PSA and SEAM, training scores of the AffinityNet. soft1: SEAM, last step.
# retrain: SEAM, tests of its DeepLabV1. label: IRN and Puzzle-CAM, confident regions.
# label1: Puzzle-CAM, last step. clip_es: CLIP-ES, pseudo masks.
CRF_PARAMETERS: Mapping[str, CRFParameters] = MappingProxyType(
    {
        'soft': CRFParameters(iterations=10),
        'soft1': CRFParameters(iterations=1),
        'retrain': CRFParameters(iterations=1, bilateral_sxy=32.0),
        'label': CRFParameters(iterations=10, bilateral_sxy=50.0, bilateral_srgb=5.0),
        'label1': CRFParameters(iterations=1, bilateral_sxy=50.0, bilateral_srgb=5.0),
        'clip_es': CRFParameters(
            iterations=10,
            gaussian_sxy=1.0,
            bilateral_sxy=67.0,
            bilateral_srgb=3.0,
            bilateral_compat=4.0,
        ),
    }
)


def crf_parameters(name: str) -> CRFParameters:
    """Look up the parameters of a released code.

    Args:
        name: One of `CRF_PARAMETERS`.

    Raises:
        ValueError: If there is no such name.

    Example:
        >>> crf_parameters('retrain').bilateral_sxy
        32.0
    """
    if name not in CRF_PARAMETERS:
        raise ValueError(
            f'no CRF parameters named {name!r}; there are {", ".join(CRF_PARAMETERS)}'
        )
    return CRF_PARAMETERS[name]


def soft_unary(scores: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Turn scores into energies: their negative logarithm.

    Args:
        scores: Scores of the classes present, shape (K, H, W). They need not sum to
            one; each is clipped to [1e-5, 1].

    Returns:
        Energies, shape (K, H, W).

    Raises:
        ValueError: If a score is not finite or the shape is wrong.

    Example:
        >>> soft_unary(np.array([[[1.5]], [[np.exp(-2)]], [[-1.0]]])).ravel().round(2)
        array([-0.  ,  2.  , 11.51], dtype=float32)
    """
    scores = _check_stack('scores', scores)
    energies: npt.NDArray[np.float32] = -np.log(np.clip(scores, CLIP, 1.0))
    return energies.astype(np.float32)


def label_unary(
    labels: npt.NDArray[Any], num_labels: int, *, probability: float = 0.7
) -> npt.NDArray[np.float32]:
    """Turn a label map into energies: how sure every pixel is of its label.

    Args:
        labels: Indices 0..K-1, shape (H, W).
        num_labels: K; a single label costs the same everywhere.
        probability: Of the label given, in (0, 1); the others share the rest.

    Returns:
        Energies, shape (K, H, W).

    Raises:
        ValueError: If a label or a number is out of range or the shape is wrong.

    Example:
        >>> label_unary(np.array([[0, 1]]), 2).ravel().round(2)
        array([0.36, 1.2 , 1.2 , 0.36], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in 'iu':
        raise ValueError(
            f'labels must be integers of shape (H, W), got {labels.dtype} '
            f'{labels.shape}'
        )
    if num_labels < 1 or not 0 < probability < 1:
        raise ValueError(
            'num_labels must be positive and probability in (0, 1), got '
            f'{num_labels} and {probability}'
        )
    if labels.min() < 0 or labels.max() >= num_labels:
        raise ValueError(
            f'labels must be in 0..{num_labels - 1}, got {labels.min()}..{labels.max()}'
        )
    other = (1.0 - probability) / max(num_labels - 1, 1)
    given = np.arange(num_labels)[:, None, None] == labels
    energies = np.where(given, -np.log(probability), -np.log(other))
    return np.asarray(energies, dtype=np.float32)


def dense_crf(
    image: npt.NDArray[np.uint8], unary: npt.NDArray[Any], parameters: CRFParameters
) -> npt.NDArray[np.float32]:
    """Run mean-field inference in a fully connected CRF.

    Every step computes ``Q = softmax(-unary + sum_m w_m K_m Q)`` over the labels,
    with a Gaussian kernel of position and one of position and colour, both
    filtered on the permutohedral lattice (an approximation) and normalised on both
    sides by the root of their row sums.

    Args:
        image: Colours in 0..255, shape (H, W, 3).
        unary: Energies of the labels, of `soft_unary` or `label_unary`, shape
            (K, H, W).
        parameters: Strength and reach of the pairwise terms.

    Returns:
        Probabilities, shape (K, H, W); they sum to one over K.

    Raises:
        ValueError: If shapes do not fit or an energy is not finite.
        ImportError: If pydensecrf is not installed.
    """
    unary = _check_stack('unary', unary)
    return np.asarray(dense_crf_shared(image, unary[None], parameters)[0])


def dense_crf_shared(
    image: npt.NDArray[np.uint8], unaries: npt.NDArray[Any], parameters: CRFParameters
) -> npt.NDArray[np.float32]:
    """Run `dense_crf` for several energies of one image, on one lattice.

    The result is the same to the last bit as that of separate calls.

    Args:
        image: As in `dense_crf`.
        unaries: A stacks of energies, shape (A, K, H, W).
        parameters: As in `dense_crf`.

    Returns:
        Probabilities, shape (A, K, H, W).

    Raises:
        ValueError: As `dense_crf`.
        ImportError: As `dense_crf`.
    """
    image, unaries = _check_image(image, unaries)
    count, labels = unaries.shape[:2]
    if labels == 1 or count == 0:
        return np.ones_like(unaries)
    crf = _build(image, labels, parameters)
    probabilities = np.empty_like(unaries)
    for index, unary in enumerate(unaries):
        crf.setUnaryEnergy(unary.reshape(labels, -1))
        result = np.asarray(crf.inference(parameters.iterations))
        probabilities[index] = result.reshape(unary.shape)
    return probabilities


def dense_crf_joint(
    image: npt.NDArray[np.uint8], unaries: npt.NDArray[Any], parameters: CRFParameters
) -> npt.NDArray[np.float32]:
    """Run `dense_crf` for several energies of one image, filtering them together.

    A lattice pass filters each label on its own, so the labels of all stacks can
    go through it at once. pydensecrf then normalises over all of them;
    dividing by the sum of a stack's own labels after each step turns that into the
    softmax of the stack, because the common factor cancels.

    Args:
        image: As in `dense_crf`.
        unaries: A stacks of energies, shape (A, K, H, W).
        parameters: As in `dense_crf`.

    Returns:
        Probabilities, shape (A, K, H, W).

    Raises:
        ValueError: As `dense_crf`.
        ImportError: As `dense_crf`.

    Note:
        Equal to `dense_crf` but for the rounding of float32, since the common factor
        is rounded too. Where a stack's energies lie so far above another's that
        the factor underflows, `dense_crf_shared` is used instead.
    """
    image, unaries = _check_image(image, unaries)
    count, labels, height, width = unaries.shape
    if labels == 1 or count < 2:
        return dense_crf_shared(image, unaries, parameters)
    crf = _build(image, count * labels, parameters)
    crf.setUnaryEnergy(unaries.reshape(count * labels, -1))
    matrix, first, second = crf.startInference()
    # A view of the library's own matrix: a column for each pixel, label by label.
    groups = np.asarray(matrix).T.reshape(height * width, count, labels)
    for step in range(parameters.iterations + 1):
        if step:
            crf.stepInference(matrix, first, second)
        sums = groups.sum(axis=2, keepdims=True)
        if not sums.min() > SMALLEST_SUM:
            return dense_crf_shared(image, unaries, parameters)
        groups /= sums
    probabilities = groups.transpose(1, 2, 0).reshape(unaries.shape)
    return np.ascontiguousarray(probabilities)


def _build(
    image: npt.NDArray[np.uint8], labels: int, parameters: CRFParameters
) -> Any:  # pydensecrf.densecrf.DenseCRF2D
    try:
        from pydensecrf.densecrf import DenseCRF2D
    except ImportError as error:
        raise ImportError(f'{INSTALL}: {error}') from error
    height, width = image.shape[:2]
    crf = DenseCRF2D(width, height, labels)
    crf.addPairwiseGaussian(
        sxy=parameters.gaussian_sxy, compat=parameters.gaussian_compat
    )
    crf.addPairwiseBilateral(
        sxy=parameters.bilateral_sxy,
        srgb=parameters.bilateral_srgb,
        rgbim=image,
        compat=parameters.bilateral_compat,
    )
    return crf


def _check_stack(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Refuse anything but finite numbers of shape (K, H, W)."""
    values = np.asarray(values)
    if values.ndim != 3 or values.size == 0 or values.dtype.kind not in 'fiu':
        raise ValueError(
            f'{name} must be numbers of shape (K, H, W), got {values.dtype} '
            f'{values.shape}'
        )
    if not np.isfinite(values).all():
        raise ValueError(f'{name} must be finite, got NaN or infinity')
    return values


def _check_image(
    image: npt.NDArray[Any], unaries: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Give both the memory layout that pydensecrf takes, or refuse them."""
    image, unaries = np.asarray(image), np.asarray(unaries)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f'image must be uint8 of shape (H, W, 3), got {image.dtype} {image.shape}'
        )
    if unaries.ndim != 4 or unaries.shape[2:] != image.shape[:2]:
        raise ValueError(
            f'the energies {unaries.shape[-3:]} must have the size of the image, '
            f'{image.shape[:2]}'
        )
    if unaries.size == 0 and len(unaries):
        raise ValueError(f'there are no energies: {unaries.shape}')
    with np.errstate(over='ignore'):  # refused below
        unaries = np.ascontiguousarray(unaries, dtype=np.float32)
    if not np.isfinite(unaries).all():
        raise ValueError('the energies must be finite in float32, got NaN or infinity')
    # It reads a buffer that it may write to and that lies row by row.
    return np.require(image, requirements=['C', 'W']), unaries
