"""A file that must be refused, and how."""

import pytest

from skdefocus.io import ReadError, read_image


def refused(path, why, **options):
    with pytest.raises(ReadError, match=why) as caught:
        read_image(path, **options)
    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)
