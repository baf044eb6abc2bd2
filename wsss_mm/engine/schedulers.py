"""The polynomial learning-rate schedule of SEAM, AffinityNet and Puzzle-CAM."""

from mmengine.optim import PolyLR

from wsss_mm.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class ReferencePolyLR(PolyLR):
    """Decay the learning rate as ``(1 - t / (end - begin)) ** power``.

    Step ``begin`` uses the full rate; from step ``end`` on the rate of the last
    step stays, so that it never reaches zero.

    Note:
        MMEngine's ``PolyLR`` divides by ``end - begin - 1`` and thus trains its
        last step with ``eta_min``. With ``end`` one larger it gives the same rates
        up to ``end``, but sets zero there. Unlike it, rates here follow from the
        initial rates alone, so a schedule that changes the same parameters in the
        same steps is overwritten.
    """

    def _get_value(self) -> list[float]:
        decay = (1 - self.last_step / (self.end - self.begin)) ** self.power
        return [
            self.eta_min + (base - self.eta_min) * decay for base in self.base_values
        ]
