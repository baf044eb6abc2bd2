"""The network of the affinity stage: a backbone and an affinity or edge head."""

import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor

from wsss_mm.models.decode_heads.base_affinity_head import BaseAffinityHead
from wsss_mm.models.structures import in_single, single_precision
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError


@MODELS.register_module()
class AffinityNet(BaseModel):
    """Learn from confident seeds which neighbouring cells are of one class.

    Training takes samples with ``gt_affinity_seed`` (1, h, w). Predicted samples
    carry ``affinity`` (P, h, w) in the order of ``offsets``, and whatever else the
    head gives.

    Args:
        backbone: Config of the backbone.
        decode_head: Config of an :class:`AffinityHead` or :class:`EdgeHead`.
        pad_size: Side of the square that smaller images are padded to at inference; 0
            pads to whole cells only.
        data_preprocessor: Config of the data preprocessor.
        init_cfg: MMEngine weight initialisation.

    Note:
        At inference an image is padded at the right and at the bottom with zeros to
        a multiple of the stride, as in AffinityNet's released code, or to the square of
        the training crops (512), as in that of IRN and Puzzle-CAM, whose normalisation
        sees the padding. A mirror is padded after it was flipped. Those codes cut off
        what exceeds the square; here a larger image is padded to whole cells.
    """

    def __init__(
        self,
        backbone: dict,
        decode_head: dict,
        *,
        pad_size: int = 0,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.pad_size = pad_size
        self.backbone = MODELS.build(backbone)
        self.decode_head = MODELS.build(decode_head)
        if not isinstance(self.decode_head, BaseAffinityHead):
            raise InputError(
                f'decode_head is a {type(self.decode_head).__name__}; AffinityNet '
                'needs an affinity head (BaseAffinityHead), such as AffinityHead'
            )

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """Neighbours (dy, dx) that the channels of an affinity map stand for."""
        return self.decode_head.offsets

    @property
    def stride(self) -> int:
        """Pixels from one cell of an affinity map to the next."""
        return self.decode_head.stride

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the backbone's feature maps of images (B, 3, H, W), in float32."""
        return in_single(tuple(self.backbone(inputs)))

    def forward(
        self,
        inputs: Tensor,
        data_samples: list | None = None,
        mode: str = 'tensor',
    ) -> dict[str, Tensor] | list[BaseDataElement] | Tensor:
        """Compute the losses, the predictions, or the head's bare output.

        Raises:
            ValueError: If the mode is unknown, or samples are missing.
        """
        if mode == 'tensor':
            return self.decode_head(self.extract_feat(inputs))
        if mode not in ('loss', 'predict'):
            raise InputError(f"mode={mode!r}; choose 'loss', 'predict' or 'tensor'")
        if data_samples is None:
            raise InputError(f'mode={mode!r} needs data_samples')
        if mode == 'loss':
            features = self.extract_feat(inputs)
            with single_precision(inputs):
                return self.decode_head.loss(features, data_samples)
        return self.predict(inputs, data_samples)

    def pad(self, images: Tensor) -> Tensor:
        """Pad images (B, 3, H, W) with zeros, at the right and at the bottom."""
        height, width = images.shape[-2:]
        below, right = (
            max(self.pad_size - side, -side % self.stride) for side in (height, width)
        )
        return F.pad(images, (0, right, 0, below))

    def predict(self, inputs: Tensor, data_samples: list) -> list[BaseDataElement]:
        """Put the affinity map of every image into its sample."""
        height, width = inputs.shape[-2:]
        cells = (-(-height // self.stride), -(-width // self.stride))
        views = [inputs]
        if self.decode_head.sees_mirror:
            views.append(inputs.flip(-1))
        features = [self.extract_feat(self.pad(view)) for view in views]
        with single_precision(inputs):
            found = self.decode_head.predict(features, cells)
        for name, maps in found.items():
            for sample, one in zip(data_samples, maps):
                sample.set_data({name: PixelData(data=one)})
        return data_samples
