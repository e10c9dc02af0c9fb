"""Reading of photographs, and writing of maps and photographs; no file is ever half written."""

from skdefocus.io._atomic import atomic_path
from skdefocus.io._atomic import move as move
from skdefocus.io._errors import MAX_PIXELS, ReadError
from skdefocus.io._exif import positive as positive
from skdefocus.io._ifd import Directory as Directory
from skdefocus.io._maps import MAPS as MAPS
from skdefocus.io._maps import read_map, write_map, write_scaled_png
from skdefocus.io._maps import write_values as write_values
from skdefocus.io._photograph import FORMATS as FORMATS
from skdefocus.io._photograph import Photograph as Photograph
from skdefocus.io._photograph import exif_tags as exif_tags
from skdefocus.io._photograph import left_out as left_out
from skdefocus.io._photograph import output_suffix as output_suffix
from skdefocus.io._photograph import read_metadata as read_metadata
from skdefocus.io._photograph import read_orientation as read_orientation
from skdefocus.io._photograph import read_photograph as read_photograph
from skdefocus.io._photograph import side_by_side as side_by_side
from skdefocus.io._photograph import write_photograph as write_photograph
from skdefocus.io._read import PHOTOGRAPHS as PHOTOGRAPHS
from skdefocus.io._read import read_image

__all__ = [
    "MAX_PIXELS",
    "ReadError",
    "atomic_path",
    "read_image",
    "read_map",
    "write_map",
    "write_scaled_png",
]
