"""What a JSON Schema cannot say: the bytes of a file that is to be accepted are an image."""

import io

import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis.transport.serialization import Binary


def _image(kind: str) -> Binary:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), (200, 100, 50)).save(file, kind)
    return Binary(file.getvalue())


schemathesis.openapi.format("binary", st.sampled_from([_image(kind) for kind in ("PNG", "JPEG", "WEBP")]))
