"""The segmentor of every CAM method."""

import torch
from mmseg.models import EncoderDecoder
from torch import Tensor

from wsss_mm.models.decode_heads.base_cam_head import (
    BaseCAMHead,
    stack_image_labels,
)
from wsss_mm.models.necks.base_image_neck import BaseImageNeck
from wsss_mm.models.structures import (
    BackboneOutput,
    Context,
    Features,
    View,
    identity,
    single_precision,
)
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

from .cam_prediction import (
    ViewCAM,
    image_region,
    present_classes,
    to_file,
    write_predictions,
)
from .patches import check_patches, pad_to_patches, patch_sides


@MODELS.register_module()
class CAMEncoderDecoder(EncoderDecoder):
    """Run the network on each view of a batch; predict CAMs and their masks.

    Training takes the views of a data wrapper, or plain images as the single
    view ``'full'``. Predicted samples carry ``seg_logits`` (raw CAM of the tags'
    classes) and ``cam`` (normalised), both :class:`PresentMaps`, ``pred_sem_seg`` and
    ``tag_scores``. ``test_cfg`` holds ``normalization`` ('min_max' as SEAM, 'max' as
    AffinityNet, or 'none' for maps in [0, 1]) and ``background_threshold``.

    Attributes:
        dataset_meta: The dataset's metainfo, of which heads that read words get
            ``classes``. MMSegmentation's ``init_model`` and inferencer take it from the
            checkpoint, :class:`DatasetMetaHook` from the dataset of a runner.

    Args:
        backbone: Config of the backbone; it gives a tuple of maps, or a
            :class:`BackboneOutput`.
        decode_head: Config of a :class:`BaseCAMHead`.
        neck: Config of a stock neck, or of a :class:`BaseImageNeck`.
        auxiliary_head: Refused: a CAM network has one head.
        train_cfg: Unused, as in MMSegmentation.
        test_cfg: See above; ``mode`` may only be 'whole'.
        data_preprocessor: Config of the data preprocessor.
        pretrained: Must be None, as MMSegmentation's ``init_model`` sets it; weights
            to start from go into the backbone's ``init_cfg``.
        init_cfg: MMEngine weight initialisation.

    Raises:
        InputError: If there is an auxiliary head, inference by sliding windows is
            asked for, or the head is not a CAM head.

    Note:
        mmseg's own ``EncoderDecoder`` takes the argmax over foreground channels
        alone and cannot see the tags, so plain CAM uses this segmentor too. In mixed
        precision backbone and neck compute in half, the head in float32.
    """

    dataset_meta: dict | None = None

    def __init__(  # noqa: PLR0913  # MMSegmentation sets all of them
        self,
        backbone: dict,
        decode_head: dict,
        neck: dict | None = None,
        auxiliary_head: dict | list[dict] | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        pretrained: None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if auxiliary_head is not None:
            raise InputError(
                'auxiliary_head: a CAM network has one head; add losses by a head '
                'around it, such as AddedPuzzleHead'
            )
        if pretrained is not None:
            raise InputError(
                f'pretrained={pretrained!r}: give backbone.init_cfg='
                "dict(type='Pretrained', checkpoint=...) instead"
            )
        mode = (test_cfg or {}).get('mode', 'whole')
        if mode != 'whole':
            raise InputError(
                f'test_cfg.mode is {mode!r}: a CAM is normalised over the whole image; '
                "leave it out, or 'whole'"
            )
        super().__init__(
            backbone=backbone,
            decode_head=decode_head,
            neck=neck,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        if not isinstance(self.decode_head, BaseCAMHead):
            raise InputError(
                f'decode_head is a {type(self.decode_head).__name__}; '
                'CAMEncoderDecoder needs a CAM head (BaseCAMHead), such as CAMHead'
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the K classes, background first; empty where nobody gave them."""
        given = self.decode_head.class_names
        return tuple(given or (self.dataset_meta or {}).get('classes') or ())

    def encode(self, inputs: Tensor) -> BackboneOutput:
        """Compute features and attention, with the neck's maps where there is one."""
        output = self.backbone(inputs)
        if not isinstance(output, BackboneOutput):
            output = BackboneOutput(tuple(output))
        if not self.with_neck:
            return output
        if isinstance(self.neck, BaseImageNeck):
            maps = self.neck(output.maps, inputs)
        else:
            maps = self.neck(output.maps)
        return BackboneOutput(tuple(maps), output.attention, output.class_tokens)

    def extract_feat(self, inputs: Tensor) -> Features:
        """Compute the features, with the neck's maps where there is one."""
        return self.encode(inputs).maps

    def look(
        self,
        views: dict[str, View],
        *,
        image_labels: Tensor | None,
        image_sizes: tuple[tuple[int, int], ...] = (),
    ) -> Context:
        """Run the network on every view; gather what the head may look at."""
        outputs = {
            name: self.encode(view.image).in_single() for name, view in views.items()
        }
        attention = {name: output.attention for name, output in outputs.items()}
        tokens = {name: output.class_tokens for name, output in outputs.items()}
        return Context(
            features={name: output.maps for name, output in outputs.items()},
            views=views,
            image_labels=image_labels,
            class_names=self.class_names,
            attention=attention if any(attention.values()) else None,
            class_tokens=tokens if any(tokens.values()) else None,
            image_sizes=image_sizes,
        )

    def loss(self, inputs: dict[str, View] | Tensor, data_samples: list) -> dict:
        """Compute the head's losses over all views of a batch."""
        if isinstance(inputs, Tensor):
            inputs = {'full': View(inputs, identity)}
        sides = patch_sides(self.backbone)
        for name, view in inputs.items():
            check_patches(name, view.image, sides)
        head = self.decode_head
        labels = stack_image_labels(data_samples, head.num_foreground)
        context = self.look(inputs, image_labels=labels)
        with single_precision(labels):
            return head.loss(context)

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        """Predict the CAM, mask and tag scores of every image of a batch.

        Raises:
            InputError: If there are no samples, or their tags do not fit the head.
        """
        if data_samples is None:
            raise InputError(
                'CAM prediction needs data_samples: the size of the image file and, '
                'for masks, its tags'
            )
        head = self.decode_head
        views = self.predict_views(inputs, data_samples)
        raws = [view.unflip(to_file(head, view, view.cam)) for view in views]
        self.write(data_samples, raws, views, [view.logits.sigmoid() for view in views])
        return data_samples

    def predict_views(self, inputs: Tensor, data_samples: list) -> list[ViewCAM]:
        """Run the network and its head; keep the present classes, in cells.

        Raises:
            InputError: If the samples' tags do not fit the head.
        """
        head = self.decode_head
        labels = None
        if any('image_labels' in sample for sample in data_samples):
            labels = stack_image_labels(data_samples, head.num_foreground)
        sizes = tuple(tuple(s.metainfo['ori_shape'][:2]) for s in data_samples)
        padded = pad_to_patches(inputs, patch_sides(self.backbone))
        with torch.set_grad_enabled(head.needs_gradients or torch.is_grad_enabled()):
            context = self.look(
                {'full': View(padded, identity)}, image_labels=labels, image_sizes=sizes
            )
            with single_precision(padded):
                cams, logits = head.predict(context)
        views = []
        for sample, cam, scores in zip(data_samples, cams.detach(), logits.detach()):
            classes = present_classes(sample, head.num_foreground).to(cam.device)
            views.append(
                ViewCAM(
                    cam[classes],
                    classes,
                    scores,
                    context.input_size(),
                    image_region(inputs, sample.metainfo),
                    sample.metainfo,
                )
            )
        return views

    def write(
        self,
        data_samples: list,
        raws: list[Tensor],
        views: list[ViewCAM],
        tag_scores: list[Tensor],
    ) -> None:
        """Write CAMs, masks and scores into samples, see :func:`write_predictions`."""
        write_predictions(
            data_samples,
            raws,
            views,
            tag_scores=tag_scores,
            normalization=self.test_cfg['normalization'],
            threshold=self.test_cfg['background_threshold'],
        )
