"""Names of types that several modules use, each declared once."""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

AnyArray = NDArray[Any]
FloatArray = NDArray[np.floating[Any]]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
IndexArray = NDArray[np.intp]

#: Shape of a point spread function.
PSFShape = Literal["gaussian", "disc"]
#: Name of a file.
StrPath = str | os.PathLike[str]
