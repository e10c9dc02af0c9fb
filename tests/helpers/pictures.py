"""A small picture and a profile, for files whose metadata are looked at."""

import numpy as np
from PIL import ImageCms

#: Smooth, so that JPEG changes little.
RGB = np.dstack([*np.meshgrid(np.arange(48) * 5, np.arange(32) * 7), np.full((32, 48), 90)])
RGB = RGB.astype(np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
