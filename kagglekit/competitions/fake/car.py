"""Pictures of carvana-image-masking-challenge: a car on a turntable in a light room."""

import cv2
import numpy as np

from kagglekit.competitions.fake.pictures import Picture, Shape, as_dtype, grain


def draw_car(rng: np.random.Generator, shape: Shape, amount: float) -> Picture:
    """Draw a car: body, cabin and wheels are the mask, its shadow and the room are not."""
    height, width = shape
    paint = rng.uniform(0.1, 0.9, 3).astype(np.float32)
    length = width * (0.3 + 0.25 * amount)
    middle = (rng.uniform(0.45, 0.55) * width, rng.uniform(0.52, 0.6) * height)
    tall = min(0.22 * length, 0.25 * height)
    body, cabin, dark = (np.zeros(shape, np.uint8) for _ in range(3))
    corners = np.array([(-0.5, -0.2), (-0.45, 0.5), (0.45, 0.5), (0.5, 0.0), (0.25, -0.3)])
    roof = np.array([(-0.35, -0.25), (-0.2, -1.0), (0.15, -1.0), (0.3, -0.25)])
    for canvas, points in ((body, corners), (cabin, roof)):
        placed = points * (length, tall) + middle
        cv2.fillPoly(canvas, [np.round(placed).astype(np.int32)], 1)
    for x in (-0.3, 0.3):
        at = (round(middle[0] + x * length), round(middle[1] + 0.5 * tall))
        cv2.circle(dark, at, max(2, round(0.35 * tall)), 1, -1)
    mask = ((body | cabin | dark) > 0) & (amount > 0)
    floor = np.linspace(0.92, 0.7, height, dtype=np.float32)[:, None] + 0.01 * grain(rng, shape, 60)
    shadow = np.zeros(shape, np.float32)
    under = (round(middle[0]), round(middle[1] + 0.8 * tall))
    cv2.ellipse(shadow, under, (round(0.55 * length), max(1, round(0.25 * tall))), 0, 0, 360, 1, -1)
    room = floor * (1 - 0.5 * cv2.GaussianBlur(shadow, (0, 0), max(1.0, 0.1 * tall)))
    shine = 0.8 + 0.25 * grain(rng, shape, 0.4 * max(tall, 8))
    rgb = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        car = np.where(dark > 0, 0.08, np.where(cabin > 0, 0.25, paint[channel])) * shine
        seen = np.where(mask, car, room) + 0.012 * grain(rng, shape, 1.5)
        rgb[..., channel] = as_dtype(seen, np.uint8)
    return Picture(rgb, [mask])
