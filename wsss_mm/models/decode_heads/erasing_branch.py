"""The parts that SeeNet's head and the head that adds its branches share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsss_mm.functional import background_zone, c_relu, tag_loss
from wsss_mm.utils.errors import InputError

NORMAL = dict(type='Normal', layer='Conv2d', std=0.01)


class ScoreBranch(nn.Module):
    """Score every cell after some 3x3 convolutions, each with its ReLU."""

    def __init__(
        self,
        in_channels: int,
        channels: tuple[int, ...],
        num_foreground: int,
        *,
        dropout_ratio: float,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        for width in channels:
            self.convs.append(nn.Conv2d(in_channels, width, 3, padding=1))
            in_channels = width
        self.dropout = nn.Dropout(dropout_ratio)
        self.score = nn.Conv2d(in_channels, num_foreground, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the class scores, shape (B, C, h, w)."""
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.score(self.dropout(x))


def check_thresholds(*pairs: tuple[float, float]) -> None:
    """Refuse thresholds that are not (high, low) within [0, 1]."""
    for high, low in pairs:
        if not 0 <= low <= high <= 1:
            raise InputError(
                'thresholds are (high, low) with 0 <= low <= high <= 1, got '
                f'({high}, {low})'
            )


def losses_of_the_rest(
    branch: ScoreBranch,
    x: Tensor,
    attention: Tensor,
    labels: Tensor,
    *,
    thresholds: tuple[float, float],
) -> dict[str, Tensor]:
    """Compute the losses of the branches B and C, which share one module."""
    high, low = thresholds
    rest = branch(c_relu(x, attention, high=high, low=low))
    background = branch(background_zone(x, attention, threshold=(high + low) / 2))
    return {
        'loss_b': tag_loss(rest.mean(dim=(2, 3)), labels),
        'loss_c': tag_loss(background.mean(dim=(2, 3)), torch.zeros_like(labels)),
    }


def classifier_to_score(state_dict: dict[str, Tensor], key: str, score: str) -> None:
    """Give a score layer the weights of a plain CAM classifier, and no bias."""
    state_dict[f'{score}.weight'] = state_dict[key]
    state_dict[f'{score}.bias'] = state_dict[key].new_zeros(len(state_dict[key]))
