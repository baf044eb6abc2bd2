"""The contract of the heads that say which neighbouring cells are alike."""

from abc import abstractmethod

from mmengine.model import BaseModule
from torch import Tensor

from wsss_mm.models.structures import Features


class BaseAffinityHead(BaseModule):
    """Compute affinities of neighbouring cells; :class:`AffinityNet` trains it.

    Attributes:
        sees_mirror: Whether :meth:`predict` gets the features of the mirrored images
            as its second view.
        stride: Pixels from one cell to the next.
        offsets: Neighbours (dy, dx) that the P channels of an affinity map stand for.
    """

    sees_mirror: bool = False
    stride: int
    offsets: tuple[tuple[int, int], ...]

    @abstractmethod
    def loss(self, features: Features, data_samples: list) -> dict[str, Tensor]:
        """Compare affinities with what the samples' seeds say of the pairs."""

    @abstractmethod
    def predict(
        self, views: list[Features], cells: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Compute maps of every image.

        Args:
            views: Features of the padded images and, if `sees_mirror`, of their padded
                mirrors.
            cells: (h, w) cells of the images, at the upper left; the others are
                padding.

        Returns:
            ``affinity``, shape (B, P, h, w), and what else the head gives.
        """
