"""Sentences about generated scenes, made from their factors by templates, and read back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tts.image.factors import FactorSpace

OPENINGS = ("a scene with", "a picture of", "an image showing", "there is")
UNSAID = -1  # the value of a factor of which a sentence says nothing
_HUES = ("red", "orange", "yellow", "green", "mint", "cyan", "azure", "blue", "violet", "pink")  # k / 10 of the colour circle
_PHRASES = {
    "floor_hue": "{} floor",
    "wall_hue": "{} wall",
    "object_hue": "{} object",
    "scale": "size {}",
    "shape": "{} shape",
    "azimuth": "turned {}",
    "orientation": "rotated {}",
    "x": "column {}",
    "y": "row {}",
}
_WORDS = {
    **{(name, 10): _HUES for name in ("floor_hue", "wall_hue", "object_hue")},
    ("shape", 3): ("square", "ellipse", "heart"),
    ("shape", 4): ("cube", "cylinder", "sphere", "capsule"),
}


@dataclass(frozen=True)
class Sentences:
    """What is said of the factors of a space: an opening, then one phrase for each factor that is spoken of, in any order.

    "a scene with red floor and size 3 and cube shape". The numbers are the factor's values. Every value of every factor has a
    phrase of its own, so a sentence maps back to what it says. A factor that has no phrase here is called by its name.
    """

    space: FactorSpace

    def phrase(self, factor: int, value: int) -> str:
        """What is said of one factor, e.g. "red floor".

        Raises:
            ValueError: if there is no such factor or value.
        """
        if not 0 <= factor < len(self.space.names) or not 0 <= value < self.space.sizes[factor]:
            raise ValueError(f"factor {factor} with value {value}: the sizes of the factors are {self.space.sizes}.")
        name, size = self.space.names[factor], self.space.sizes[factor]
        words = _WORDS.get((name, size))
        pattern = _PHRASES.get(name, f"{name.replace('_', ' ')} {{}}")
        return pattern.format(str(value) if words is None else words[value])

    def sentence(self, factors: NDArray[np.int64], generator: np.random.Generator, *, mention: float = 1.0) -> str:
        """One sentence about a scene.

        Args:
            factors: values (K,).
            generator: draws the opening, which factors are spoken of, and their order.
            mention: probability of each factor to be spoken of, above 0 to 1; one of them always is.

        Raises:
            ValueError: if `mention` is outside (0, 1], or there is no such factor or value.
        """
        if not 0 < mention <= 1:
            raise ValueError(f"mention must be in (0, 1], found {mention}.")
        order = generator.permutation(len(self.space.names))
        said = generator.random(len(order)) < mention
        said[0] |= not said.any()
        phrases = [self.phrase(int(k), int(factors[k])) for k in order[said]]
        return f"{OPENINGS[generator.integers(len(OPENINGS))]} {' and '.join(phrases)}"

    def parse(self, sentence: str) -> NDArray[np.int64]:
        """The values (K,) that a sentence states, UNSAID (-1) where it says nothing.

        Raises:
            ValueError: if a part of it is no phrase of this space, or a factor is spoken of twice.
        """
        found = np.full(len(self.space.names), UNSAID, dtype=np.int64)
        opening = next((o for o in OPENINGS if sentence.startswith(f"{o} ")), "")
        meanings = self._meanings()
        for phrase in sentence.removeprefix(opening).strip().split(" and "):
            if phrase not in meanings:
                raise ValueError(f"{phrase!r} says nothing of {', '.join(self.space.names)}.")
            factor, value = meanings[phrase]
            if found[factor] != UNSAID:
                raise ValueError(f"{sentence!r} speaks twice of {self.space.names[factor]}.")
            found[factor] = value
        return found

    def vocabulary(self) -> tuple[str, ...]:
        """All words, sorted."""
        return tuple(sorted({word for text in (*OPENINGS, "and", *self._meanings()) for word in text.split()}))

    def true_of(self, said: NDArray[np.int64], factors: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the i-th scene is as the j-th sentence says: factors (n, K) and `parse`d sentences (m, K) -> (n, m)."""
        return ((said[None] == factors[:, None]) | (said[None] == UNSAID)).all(axis=2)

    def _meanings(self) -> dict[str, tuple[int, int]]:
        """Phrase to (factor, value)."""
        return {self.phrase(k, v): (k, v) for k, size in enumerate(self.space.sizes) for v in range(size)}
