"""What the decoders on frozen CLIP share: fused features, blocks, and prediction."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.models.backbones.vit import TransformerEncoderLayer
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from wsss_mm.functional import (
    dense_affinity_label,
    dense_affinity_loss,
    feature_affinity,
)
from wsss_mm.models.structures import BackboneOutput, Features
from wsss_mm.utils.errors import InputError

NORM = dict(type='LN', eps=1e-5)
# Named with its scope: mmcv looks for activations in the default one.
ACTIVATION = dict(type='mmseg.QuickGELU')


class BlockMLP(nn.Module):
    """Project the features of one block, cell by cell.

    Args:
        in_channels: Of the features (D).
        channels: Of the result.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(in_channels, channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Project maps (B, D, h, w) to (B, channels, h, w)."""
        return self.out(F.relu(self.hidden(maps)))


class BaseWeCLIPHead(BaseDecodeHead):
    """Fuse features of a frozen backbone, decode them, and learn their affinity.

    It is trained from masks: those that :class:`WeCLIP` makes as it goes, or the files
    that the dataset loads, with MMSegmentation's ``EncoderDecoder``.

    Args:
        in_channels: Channels of the features, for each block that gives some.
        num_classes: Classes of the dataset, background included (K).
        channels: Width of the fused features.
        num_layers: Transformer blocks of the decoder.
        num_heads: Their attention heads.
        radius: Pairs of cells are compared up to this many rows and columns apart.
        affinity_weight: Weight of the affinity loss.
        dropout_ratio: Channel dropout of the fused features.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        channels: int = 256,
        num_layers: int = 3,
        num_heads: int = 8,
        radius: int = 8,
        affinity_weight: float = 0.1,
        dropout_ratio: float = 0.1,
    ) -> None:
        super().__init__(
            list(in_channels),
            channels,
            num_classes=num_classes,
            # One logit a class, of two classes as well.
            out_channels=num_classes,
            in_index=list(range(len(in_channels))),
            input_transform='multiple_select',
            dropout_ratio=dropout_ratio,
            init_cfg=None,
        )
        self.radius = radius
        self.affinity_weight = affinity_weight
        self.projections = nn.ModuleList(BlockMLP(one, channels) for one in in_channels)
        self.fuse = nn.Conv2d(channels * len(in_channels), channels, 1)
        self.layers = nn.ModuleList(
            TransformerEncoderLayer(
                channels,
                num_heads,
                4 * channels,
                norm_cfg=NORM,
                act_cfg=ACTIVATION,
                # Its own, since MMSegmentation writes into its defaults.
                attn_cfg={},
                ffn_cfg={},
            )
            for _ in range(num_layers)
        )

    def fused(self, inputs: BackboneOutput | Features) -> Tensor:
        """Fuse the features of all blocks.

        Args:
            inputs: What the backbone gives, or its maps, each (B, D, h, w).

        Returns:
            Fused features, shape (B, channels, h, w).

        Raises:
            InputError: If the backbone gives another number of maps.
        """
        maps = inputs.maps if isinstance(inputs, BackboneOutput) else tuple(inputs)
        if len(maps) != len(self.projections):
            raise InputError(
                f'the backbone gives {len(maps)} maps, the head needs '
                f'{len(self.projections)}; set in_channels, or out_indices of the '
                'backbone'
            )
        parts = [project(one) for project, one in zip(self.projections, maps)]
        fused = self.fuse(torch.cat(parts, dim=1))
        return fused if self.dropout is None else self.dropout(fused)

    def decode(self, fused: Tensor) -> Tensor:
        """Turn fused features into logits, shape (B, K, h, w)."""
        tokens = fused.flatten(2).transpose(1, 2)
        for layer in self.layers:
            tokens = layer(tokens)
        maps = tokens.transpose(1, 2).unflatten(2, fused.shape[2:])
        return self.conv_seg(maps)

    def forward(self, inputs: BackboneOutput | Features) -> Tensor:
        """Compute the logits, shape (B, K, h, w)."""
        return self.decode(self.fused(inputs))

    def loss(
        self,
        inputs: BackboneOutput | Features,
        batch_data_samples: list,
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """Compute the losses against the masks of the samples.

        Raises:
            InputError: If a sample has no mask.
        """
        for sample in batch_data_samples:
            if 'gt_sem_seg' not in sample:
                raise InputError(
                    f'{sample.metainfo.get("img_path", "a sample")}: no mask to train '
                    'on; load masks with LoadTrainingMask, or train from tags with '
                    'the segmentor WeCLIP'
                )
        mask = self._stack_batch_gt(batch_data_samples)[:, 0]
        return self.mask_losses(self.fused(inputs), mask)

    @abstractmethod
    def mask_losses(self, fused: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Compute the losses of fused features against masks.

        Args:
            fused: What :meth:`fused` gives.
            mask: Labels with 0 for background and 255 for pixels that do not count,
                shape (B, H, W).
        """

    def affinity_loss(self, fused: Tensor, mask: Tensor) -> Tensor:
        """Compare the affinity of fused features (B, D, h, w) with masks (B, H, W)."""
        cells = F.interpolate(mask[:, None].float(), fused.shape[2:])[:, 0].long()
        label = dense_affinity_label(cells, radius=self.radius)
        return self.affinity_weight * dense_affinity_loss(
            feature_affinity(fused), label
        )

    def predict(
        self,
        inputs: BackboneOutput | Features,
        batch_img_metas: list[dict],
        test_cfg: dict | None,
    ) -> Tensor:
        """Compute the logits, shape (B, K, h, w); windows get theirs at full size."""
        logits = self.forward(inputs)
        if (test_cfg or {}).get('mode', 'whole') == 'whole':
            return logits
        return self.predict_by_feat(logits, batch_img_metas)
