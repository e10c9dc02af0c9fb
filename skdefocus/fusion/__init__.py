"""One photograph that is in focus everywhere, from several that are not."""

from skdefocus.fusion._agreement import agreement_of_photographs as agreement_of_photographs
from skdefocus.fusion._frames import READS as READS
from skdefocus.fusion._fuser import FocusFuser
from skdefocus.fusion._result import FusionResult

__all__ = [
    "FocusFuser",
    "FusionResult",
]
