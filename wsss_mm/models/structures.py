"""What passes between data wrappers, segmentors and heads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from mmengine.structures import PixelData
from torch import Tensor

Features = tuple[Tensor, ...]


def in_single(maps: Features) -> Features:
    """Bring maps of half precision, which autocast makes, to float32."""
    half = (torch.float16, torch.bfloat16)
    return tuple(one.float() if one.dtype in half else one for one in maps)


def single_precision(like: Tensor) -> torch.autocast:
    """Give a context without autocast on the device of a tensor.

    The maths of CAMs divides by sums of 1e-5 and less, which half precision rounds to
    zero: networks run in mixed precision, heads do not.
    """
    return torch.autocast(like.device.type, enabled=False)


@dataclass(frozen=True)
class View:
    """One look at a batch, and how that look changes a CAM of the full images.

    Attributes:
        image: Network input, shape (B, 3, H', W').
        on_cam: Maps a CAM of the full view to this view's frame: pixels (B, *, H, W)
            to pixels, feature cells (B, *, h, w) to the cells that the network gives
            for this view's image.
    """

    image: Tensor
    on_cam: Callable[[Tensor], Tensor]


def identity(cam: Tensor) -> Tensor:
    """Return a CAM as it is: the full view's own frame."""
    return cam


@dataclass(frozen=True)
class BackboneOutput:
    """What a backbone gives that has attention maps too; others give the maps alone.

    Attributes:
        maps: Feature maps, each of shape (B, D, h, w).
        attention: Attention of its layers, each of shape (B, heads, N, N); the head is
            one where only their mean is known.
        class_tokens: Class tokens beside the maps, each of shape (B, D).
    """

    maps: Features
    attention: Features = ()
    class_tokens: Features = ()

    def in_single(self) -> 'BackboneOutput':
        """Return the same in float32 where it is of half precision."""
        parts = (self.maps, self.attention, self.class_tokens)
        return BackboneOutput(*map(in_single, parts))


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that a CAM head may look at, for one batch.

    Attributes:
        features: Per view the feature maps, a neck's embedding last. A view for which
            a head asks is here and in `views`; prediction has ``'full'`` alone.
        views: Per view its image and what it does to a CAM.
        image_labels: Multi-hot classes of every image, shape (B, C); None where nobody
            gave them, which only prediction allows.
        class_names: Names of the dataset's K classes, the background first; empty
            where nobody gave them.
        attention: Per view the attention of the backbone's layers, each of shape
            (B, heads, N, N); None for a backbone without.
        class_tokens: Per view the class tokens beside the backbone's maps, each of
            shape (B, D); None for a backbone without.
        image_sizes: (H, W) of every image file; empty in training.
        cams: Per view the raw CAM, shape (B, C, h, w), where a surrounding head has
            computed it already.
    """

    features: Mapping[str, Features]
    views: Mapping[str, View]
    image_labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    attention: Mapping[str, Features] | None = None
    class_tokens: Mapping[str, Features] | None = None
    image_sizes: tuple[tuple[int, int], ...] = ()
    cams: Mapping[str, Tensor] = field(default_factory=dict)

    def input_size(self, view: str = 'full') -> tuple[int, int]:
        """Return (H, W) of the network's input in a view."""
        height, width = self.views[view].image.shape[-2:]
        return height, width

    def with_cams(self, cams: Mapping[str, Tensor]) -> 'Context':
        """Return a context that holds these raw CAMs too."""
        return replace(self, cams={**self.cams, **cams})

    def without(self, view: str) -> 'Context':
        """Return a context without one of the views."""

        def others(per_view: Mapping) -> dict:
            return {name: one for name, one in per_view.items() if name != view}

        return replace(
            self,
            features=others(self.features),
            views=others(self.views),
            attention=None if self.attention is None else others(self.attention),
            class_tokens=(
                None if self.class_tokens is None else others(self.class_tokens)
            ),
            cams=others(self.cams),
        )


class PresentMaps(PixelData):
    """Maps of the classes an image has; those of the others are zero and not stored.

    ``maps`` has the shape (n, H, W), ``classes`` names its n foreground indices,
    ascending, and ``num_classes`` is C.

    Note:
        ``data`` makes the maps of all classes, (C, H, W), whenever it is read: right
        for a look at one image, wasteful for many classes.
    """

    @classmethod
    def of(cls, maps: Tensor, classes: Tensor, num_classes: int) -> 'PresentMaps':
        """Store the maps of some classes.

        Args:
            maps: Shape (n, H, W).
            classes: Their foreground indices, ascending, shape (n,).
            num_classes: How many foreground classes there are (C).
        """
        meta = dict(classes=tuple(classes.tolist()), num_classes=num_classes)
        return cls(metainfo=meta, maps=maps)

    @property
    def data(self) -> Tensor:
        """Make the maps of all classes, shape (C, H, W)."""
        full = self.maps.new_zeros((self.num_classes, *self.maps.shape[-2:]))
        full[list(self.classes)] = self.maps
        return full
