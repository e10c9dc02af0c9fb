"""Box mean, guided filter and weighted guided filter: arrays in, array out.

Images and guides are floats of any offset and scale, ``(H, W)`` or ``(H, W, C)``. Beyond the
border they are mirrored, the outermost pixels repeated (``d c b a | a b c d | d c b a``), and a
radius may be larger than the image. Memory of the caller is never written to, but for `out`.
"""

from skdefocus.filters._box_mean import box_mean
from skdefocus.filters._guided_filter import GuidedFilter, guided_filter, weighted_guided_filter

__all__ = [
    "GuidedFilter",
    "box_mean",
    "guided_filter",
    "weighted_guided_filter",
]
