from __future__ import annotations

import pytest
from PIL import Image

from tests import image_kit as kit


@pytest.mark.parametrize("depth", [24, 32])
@pytest.mark.parametrize("kind", [1, 2, 3], ids=["blue first", "runs", "red first"])
def test_colours_are_in_their_order_and_padding_is_none_of_them(made_fit, depth, kind):
    with Image.open(made_fit(kit.sun(depth, kind)).file) as image:
        assert kit.close(kit.corners(image), kit.QUADRANTS, 12)
