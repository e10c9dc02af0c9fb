"""Type aliases that several modules use."""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

AnyArray = NDArray[Any]
FloatArray = NDArray[np.floating[Any]]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
UInt8Array = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.intp]
#: Sums of integers, exact on every platform.
Int64Array = NDArray[np.int64]

#: Shape of a point spread function.
PSFShape = Literal["gaussian", "disc"]
#: Name of a file.
StrPath = str | os.PathLike[str]
