"""Box mean, guided filter and weighted guided filter: functions of arrays.

Images and guides are floating-point arrays of any offset and scale, ``(H, W)`` or ``(H, W, C)``.
Beyond its border an image is mirrored, with the outermost pixels repeated
(``d c b a | a b c d | d c b a``); a radius may be larger than the image. No array of the caller is
written to, except `out`.
"""

from skdefocus.filters._box_mean import box_mean
from skdefocus.filters._guided_filter import GuidedFilter, guided_filter, weighted_guided_filter

__all__ = [
    "GuidedFilter",
    "box_mean",
    "guided_filter",
    "weighted_guided_filter",
]
