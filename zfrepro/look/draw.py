"""Numbers as words and arrays as PNG for the page of `zfrepro look`."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from PIL import Image

MIN_SIDE = 320  # pixels, about: pictures and maps by position are enlarged to it, sharp-edged
ROUNDING = 1e-4  # of the largest value; what float32 sums in another order may differ by


def percent(probability: float, digits: int = 1) -> str:
    """4.3 %; a small one that is not 0, or a large one that is not 1, never reads 0.0 % or 100.0 %."""
    text, smallest = f"{100 * probability:.{digits}f}", 10.0**-digits
    if text == f"{0:.{digits}f}" and probability > 0:
        return f"< {smallest:.{digits}f} %"
    if text == f"{100:.{digits}f}" and probability < 1:
        return f"> {100 - smallest:.{digits}f} %"
    return f"{text} %"


def percents(probabilities: Sequence[float]) -> list[str]:
    """With as many digits as tell the least from the largest."""
    for digits in (1, 2, 3, 4):
        texts = [percent(probability, digits) for probability in probabilities]
        if len({percent(min(probabilities), digits), percent(max(probabilities), digits)}) == 2:
            return texts
    return [percent(probability) for probability in probabilities]


def number(value: float) -> str:
    """Three digits: 0.0123, 1.20, 57.0, 1234."""
    return f"{value:#.3g}" if abs(value) < 99.95 else f"{value:.0f}"


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def heat(values: np.ndarray) -> np.ndarray:
    """uint8 (h, w, 3): dark is the least, light the most; values that differ by no more than rounding look alike."""
    low, high = float(values.min()), float(values.max())
    flat = high - low <= ROUNDING * max(abs(low), abs(high))
    return sharp(apply_colours(np.zeros(values.shape) if flat else (values - low) / (high - low)))


def ramp() -> np.ndarray:
    """The colours of `heat` from least to most."""
    return apply_colours(np.linspace(0, 1, 128)[None])


def apply_colours(shares: np.ndarray) -> np.ndarray:
    return mpl.colormaps["viridis"](shares, bytes=True)[..., :3]


def overlay(values: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """uint8 (s, s, 3): values (h, w), least 0, enlarged without edges, in half over a picture (s, s, 3)."""
    height, width = picture.shape[:2]
    shares = values / max(float(values.max()), float(np.finfo(np.float32).tiny))
    smooth = np.array(Image.fromarray(shares.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
    return sharp(((apply_colours(smooth.clip(0, 1)).astype(np.uint16) + picture) // 2).astype(np.uint8))


def sharp(picture: np.ndarray) -> np.ndarray:
    """Every pixel as a square of pixels, so that browsers do not blur it."""
    times = max(1, -(-MIN_SIDE // len(picture)))
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def source(picture: np.ndarray) -> str:
    raw = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(raw, "PNG")
    return f"data:image/png;base64,{base64.b64encode(raw.getvalue()).decode('ascii')}"
