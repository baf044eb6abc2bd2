"""The contract of every CAM head: raw CAM, losses and prediction from a Context."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.structures import BaseDataElement
from torch import Tensor

from wsss_mm.models.structures import Context
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError


def resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps (B, *, h, w) bilinearly, corners not aligned; (B, *, H, W)."""
    return F.interpolate(maps, size, mode='bilinear', align_corners=False)


class BaseCAMHead(BaseModule):
    """Turn what a network saw of a batch into CAMs, and into losses if it is trained.

    A head implements :meth:`compute_cam` and :meth:`loss`. :meth:`predict` and the way
    of its maps to the image's size have defaults, those of a plain CAM.

    Attributes:
        trainable: Whether the head learns. False says that it needs no training and no
            checkpoint: a method of such a head begins at the CAMs, and its `loss` is
            never called.
        needs_gradients: Whether prediction differentiates through the backbone: its
            features come with their graph then. A head that only differentiates layers
            of its own leaves this False and calls ``torch.enable_grad`` itself. Either
            way it uses ``torch.autograd.grad`` and leaves every ``.grad`` alone.
        linear: Whether :meth:`to_image` is linear, so that maps of one size (an image
            and its mirror) may be added before it.
        class_names: Names of the K classes, background first, for a head that takes
            them from its config; the dataset's are used where this is empty.

    Args:
        num_classes: Classes of the dataset, background included (K).
        init_cfg: MMEngine weight initialisation.

    Raises:
        InputError: If `num_classes` leaves no foreground class.
    """

    trainable: bool = True
    needs_gradients: bool = False
    linear: bool = True
    class_names: tuple[str, ...] = ()
    # MMSegmentation's segmentors read it of every head.
    align_corners: bool = False

    def __init__(
        self, num_classes: int, *, init_cfg: dict | list[dict] | None = None
    ) -> None:
        super().__init__(init_cfg)
        if num_classes < 2:
            raise InputError(
                f'num_classes is {num_classes}: it counts the background and at '
                'least one foreground class'
            )
        self.num_classes = self.out_channels = num_classes

    @property
    def num_foreground(self) -> int:
        """Return the number of foreground classes (C)."""
        return self.num_classes - 1

    @abstractmethod
    def compute_cam(self, context: Context, view: str = 'full') -> Tensor:
        """Compute the raw CAM of a view, shape (B, C, h, w), foreground alone."""

    def raw_cam(self, context: Context, view: str = 'full') -> Tensor:
        """Give the raw CAM of a view, once computed where a surrounding head did.

        Args:
            context: What the network saw.
            view: Name of the view.

        Returns:
            Activations of the foreground before any rectification, (B, C, h, w).
        """
        given = context.cams.get(view)
        return self.compute_cam(context, view) if given is None else given

    def loss(self, context: Context) -> dict[str, Tensor]:
        """Compute the losses; every key contains ``loss``, and their sum is trained.

        Raises:
            InputError: If the head needs no training.
        """
        if self.trainable:
            raise NotImplementedError(f'{type(self).__name__} has no loss')
        raise InputError(
            f'{type(self).__name__} needs no training: make its CAMs right away '
            '(tools/gen_pseudo.py)'
        )

    def predict(self, context: Context) -> tuple[Tensor, Tensor]:
        """Compute what inference needs from the full view.

        Returns:
            The CAM, shape (B, C, h, w) in cells or (B, C, M, h, w) where M maps make
            one (see :meth:`to_input`), and the logits of the image labels, (B, C).
        """
        cam = self.raw_cam(context)
        return torch.relu(cam), cam.mean(dim=(2, 3))

    def to_input(self, cam: Tensor, input_size: tuple[int, int]) -> Tensor:
        """Bring predicted maps of one image to the resolution the method works at.

        Args:
            cam: Predicted maps of n classes, shape (n, h, w) or (n, M, h, w), n > 0.
            input_size: (H, W) of the network's input.

        Returns:
            One map a class, shape (n, h', w'); here the cells as they are.
        """
        return cam

    def to_image(
        self, cam: Tensor, input_size: tuple[int, int], image_size: tuple[int, int]
    ) -> Tensor:
        """Bring predicted maps of one image to the size of its file.

        Args:
            cam: As :meth:`to_input`.
            input_size: (H, W) of the network's input.
            image_size: (H, W) of the image file.

        Returns:
            One map a class, shape (n, H, W).
        """
        return resize(self.to_input(cam, input_size)[None], image_size)[0]

    def labels_of(self, context: Context) -> Tensor:
        """Give the labels of a batch, shape (B, C).

        Raises:
            InputError: If there are none, or their number of classes is another.
        """
        labels = context.image_labels
        if labels is None:
            raise InputError(
                'no image labels; read the images through ImageLabelDataset and end '
                'the pipeline with PackWSSSInputs'
            )
        if labels.shape[1] != self.num_foreground:
            raise InputError(class_count_message(labels.shape[1], self.num_foreground))
        return labels

    def names_of(self, context: Context) -> tuple[str, ...]:
        """Give the names of the C foreground classes.

        Raises:
            InputError: If there are none, or their number is another.
        """
        if len(context.class_names) != self.num_classes:
            raise InputError(
                f'{type(self).__name__} reads the names of its {self.num_classes} '
                f'classes, background first, and got {len(context.class_names)}; set '
                'decode_head.class_names, or metainfo.classes of the dataset'
            )
        return context.class_names[1:]


def class_count_message(found: int, num_foreground: int) -> str:
    """Say that labels are over another number of classes than a head."""
    return (
        f'tags over {found} foreground classes, but the head has '
        f'num_classes={num_foreground + 1} ({num_foreground} and background); set '
        "the head's num_classes to the length of the dataset's classes"
    )


def check_tag_count(sample: BaseDataElement, num_foreground: int) -> None:
    """Refuse a sample whose tags are over another number of classes.

    Args:
        sample: Sample with a multi-hot field ``image_labels``, shape (C,).
        num_foreground: The C that the head was built for.

    Raises:
        InputError: If the numbers differ.
    """
    found = sample.image_labels.numel()
    if found != num_foreground:
        name = sample.metainfo.get('img_path', 'a sample')
        raise InputError(f'{name}: {class_count_message(found, num_foreground)}')


def stack_image_labels(data_samples: list, num_foreground: int) -> Tensor:
    """Collect the tags of a batch.

    Args:
        data_samples: Samples with a multi-hot field ``image_labels``, shape (C,).
        num_foreground: The C that the head was built for.

    Returns:
        Tags, shape (B, C), on the samples' device.

    Raises:
        InputError: If a sample has no tags, or tags of another class count.
    """
    for sample in data_samples:
        if 'image_labels' not in sample:
            raise InputError(
                f'{sample.metainfo.get("img_path", "a sample")}: no image tags; end '
                'the pipeline with PackWSSSInputs and read the images through '
                'ImageLabelDataset'
            )
        check_tag_count(sample, num_foreground)
    return torch.stack([sample.image_labels for sample in data_samples])


def build_base(config: dict, num_classes: int) -> BaseCAMHead:
    """Build the head that another one adds to, over the same classes.

    Raises:
        InputError: If it is not a CAM head.
    """
    head = MODELS.build({**config, 'num_classes': num_classes})
    if not isinstance(head, BaseCAMHead):
        raise InputError(
            f'base is a {type(head).__name__}; it must be a CAM head (BaseCAMHead), '
            'such as CAMHead or SEAMHead'
        )
    return head
