"""Photographs in from files, maps out to files; nothing is ever half written."""

from skdefocus.io._exif import exif_block as exif_block
from skdefocus.io._exif import exif_distance as exif_distance
from skdefocus.io._exif import positive as positive
from skdefocus.io._photograph import FORMATS as FORMATS
from skdefocus.io._photograph import Picture as Picture
from skdefocus.io._photograph import beside as beside
from skdefocus.io._photograph import check_target as check_target
from skdefocus.io._photograph import read_picture as read_picture
from skdefocus.io._photograph import write_picture as write_picture
from skdefocus.io._read import MAX_PIXELS, ReadError
from skdefocus.io._write import MAPS as MAPS
from skdefocus.io._write import atomic_path, read_image, write_map, write_scaled_png
from skdefocus.io._write import move as move

__all__ = [
    "MAX_PIXELS",
    "ReadError",
    "atomic_path",
    "read_image",
    "write_map",
    "write_scaled_png",
]
