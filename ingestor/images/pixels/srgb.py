"""The curve of sRGB. IEC 61966-2-1."""

from __future__ import annotations

import numpy as np


def light_of(values: np.ndarray) -> np.ndarray:
    """The light, from 0 to 1, that values from 0 to 1 stand for."""
    light: np.ndarray = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return light


def value_of(light: np.ndarray) -> np.ndarray:
    """The values that light is stored as."""
    values: np.ndarray = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return values
