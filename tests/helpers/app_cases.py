"""Shared by the tests of the app: a pipeline that takes no time, photographs, a server."""

import threading
import time
import zlib
from contextlib import contextmanager

import numpy as np
from helpers.cli_cases import photo
from PIL import Image
from PIL.PngImagePlugin import putchunk
from sklearn.datasets import load_sample_image
from sklearn.pipeline import make_pipeline

from skdefocus import LevelGrid, PatchExtractor, WeightedGuidedRefiner
from skdefocus._estimators import ImageTransformer

SIGMAS = np.linspace(0, 8, 9)
#: What the page sends at first.
ORDER = {
    "view": "blur", "photo": 0, "radius": 8, "eps": 3e-4, "context": 0.2,
    "strength": 2, "amount": 1, "align": "none",
}  # fmt: skip


class BlurOfColumns(ImageTransformer):
    """In place of the network: blur grows from the left to the right."""

    def transform(self, X):
        found = []
        for grid in X:
            rows, columns = (-(-n // grid.step) for n in grid.image.shape[:2])
            levels = np.linspace(0, len(SIGMAS) - 1, columns).round().astype(int)
            proba = 0.8 * np.eye(len(SIGMAS), dtype=np.float32)[levels] + 0.2 / len(SIGMAS)
            proba = np.broadcast_to(proba, (rows, *proba.shape)).astype(np.float32)
            found.append(LevelGrid(grid.image, proba, SIGMAS, grid.step))
        return found


def fast_pipeline(step=8):
    return make_pipeline(
        PatchExtractor(step=step), BlurOfColumns(), WeightedGuidedRefiner(n_iter=0, context=0.2)
    )


def flower(folder, name="flower.jpg", shape=(427, 640)):
    """Scikit-learn's flower, repeated to a size."""
    pixels = load_sample_image("flower.jpg")
    repeated = np.tile(pixels, (-(-shape[0] // 427), -(-shape[1] // 640), 1))
    Image.fromarray(repeated[: shape[0], : shape[1]]).save(folder / name, quality=90)
    return folder / name


def stack_of_seven(folder):
    """Frames that show one seventh of the flower sharp."""
    from skdefocus.synthesis import blur

    sharp = load_sample_image("flower.jpg")[100:260, 170:394] / 255.0
    soft = blur(sharp, 3.0).clip(0, 1)
    names = []
    for k in range(7):
        in_focus = (np.arange(224) // 32 == k)[None, :, None]
        pixels = np.where(in_focus, sharp, soft)
        names.append(photo(folder, f"frame{k}.png", np.rint(pixels * 255).astype(np.uint8)))
    return names


def corrupt(folder):
    """A photograph with a wrong byte in its pixels."""
    path = folder / "corrupt.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    data = bytearray(path.read_bytes())
    data[1000] ^= 0xFF
    path.write_bytes(data)
    return path


def bomb(folder):
    """A PNG of some hundred kilobytes that asks for 300 megapixels."""
    path = folder / "bomb.png"
    packer, width, height = zlib.compressobj(6), 20_000, 15_000
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        putchunk(file, b"IHDR", size + bytes([8, 0, 0, 0, 0]))
        putchunk(file, b"IDAT", rows)
        putchunk(file, b"IEND", b"")
    return path


@contextmanager
def running(pipeline, folder, max_pixels=250_000_000):
    """Run the server in a thread; yields its port."""
    import socket

    from skdefocus.app._server import make_server

    server = make_server(pipeline, folder, max_pixels)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
