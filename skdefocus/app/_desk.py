"""The photographs on the page, and the stages of the work on them; knows nothing of the web."""

from __future__ import annotations

import secrets
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from sklearn.base import clone

from skdefocus._images import check_image
from skdefocus._typing import Float32Array
from skdefocus.app._view import View
from skdefocus.fusion import FocusFuser, FusionResult
from skdefocus.io import Photograph, ReadError, read_image, read_photograph
from skdefocus.pipeline import LevelGrid

#: What the page asks for: the values of its fields, by name. The estimators check them.
Order = dict[str, Any]
#: Parameters of the refinement that the page has sliders for.
REFINEMENT = ("radius", "eps", "context")
#: Photographs of fewer megapixels do not tell how long larger ones take.
TIMED = 0.25


class Desk:
    """Photographs and the last result of every stage; one view is made at a time.

    Parameters
    ----------
    folder : Path
        For the photographs, and for the files to save.
    pipeline : Pipeline
    max_pixels : int
        Largest number of pixels of a photograph.
    seconds : dict of str to float
        Seconds per megapixel that the stages have taken, which are updated.
    """

    def __init__(
        self, folder: Path, pipeline: Any, max_pixels: int, seconds: dict[str, float]
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.folder, self.names, self.closed = folder, list[str](), False
        self.view: View | None = None
        self._paths: list[Path] = []
        self._pipeline, self._max_pixels, self._seconds = pipeline, max_pixels, seconds
        self._results: dict[str, tuple[Any, Any]] = {}
        self._stage, self._start, self._expected = "", 0.0, 0.0
        self._lock = Lock()

    def add(self, name: str, path: Path) -> dict[str, Any]:
        """Add an uploaded photograph; ReadError that names it if it cannot be read."""
        try:
            height, width = read_image(path, max_pixels=self._max_pixels).shape[:2]
        except ReadError as error:
            reason = str(error).removeprefix(f"cannot read {str(path)!r}: ")
            raise ReadError(f"{name!r}: {reason}") from None
        self.names.append(name)
        self._paths.append(path)
        return {"photo": len(self.names) - 1, "name": f"{name} ({width} × {height})"}

    def show(self, make: Callable[[Desk], View]) -> View:
        """Make a view."""
        with self._lock:
            try:
                self.view = make(self)
            finally:
                self._stage = ""
        return self.view

    def progress(self) -> dict[str, Any]:
        """Name the stage at work, the seconds it has taken, and those it is expected to take."""
        seconds = time.monotonic() - self._start
        return {"stage": self._stage, "seconds": seconds, "expected": self._expected}

    def photo(self, order: Order) -> Photograph:
        """Read a photograph."""
        path = self._paths[order["photo"]]
        return self._once("Reading", path, 0, lambda: read_photograph(path, self._max_pixels))

    def levels(self, order: Order) -> LevelGrid:
        """Run the network."""
        pixels, stages = self.photo(order).pixels, self._pipeline[:-1]
        size = pixels.shape[0] * pixels.shape[1]
        return self._once(
            "Looking for blur", order["photo"], size, lambda: stages.transform([pixels])[0]
        )

    def sigma(self, order: Order) -> Float32Array:
        """Refine the map."""
        levels, given = self.levels(order), {name: order[name] for name in REFINEMENT}
        refiner = clone(self._pipeline[-1]).set_params(**given)
        size = levels.image.shape[0] * levels.image.shape[1]
        return self._once(
            "Refining", (order["photo"], given), size, lambda: refiner.transform([levels])[0]
        )

    def applied(self, stage: str, order: Order, effect: Any, **options: float) -> Float32Array:
        """Apply an effect to the photograph in floats: integers would be rounded."""
        pixels, sigma = self.photo(order).pixels, self.sigma(order)
        key = [order[name] for name in ("photo", *REFINEMENT)], options
        return self._once(
            stage, key, sigma.size, lambda: effect(check_image(pixels), sigma, **options)
        )

    def fusion(self, order: Order) -> FusionResult:
        """Fuse all photographs; the first is the reference."""
        frames = [partial(read_image, path, max_pixels=self._max_pixels) for path in self._paths]
        height, width = self.photo(order).pixels.shape[:2]

        def fuse() -> FusionResult:
            with warnings.catch_warnings():  # the view tells which frames are left out
                warnings.filterwarnings("ignore", message=".* is left out: ", category=UserWarning)
                fuser = FocusFuser(align=order["align"])
                return fuser.fuse(frames, names=[repr(name) for name in self.names])

        key = order["align"], len(frames)
        return self._once("Fusing", key, len(frames) * height * width, fuse)

    def _once(self, stage: str, key: Any, pixels: int, make: Callable[[], Any]) -> Any:
        """Make the result of a stage, unless its last one was made from the same."""
        if stage not in self._results or self._results[stage][0] != key:
            if self.closed:
                raise ValueError("other photographs were opened")
            self._results.pop(stage, None)  # first, because the next may need the memory
            megapixels = pixels / 1e6
            self._stage, self._start = stage, time.monotonic()
            self._expected = self._seconds.get(stage, 0) * megapixels
            self._results[stage] = key, make()
            if megapixels > TIMED:
                self._seconds[stage] = (time.monotonic() - self._start) / megapixels
        return self._results[stage][1]
