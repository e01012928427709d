"""What has to be done to an image, decided from its header alone."""

from __future__ import annotations

from dataclasses import dataclass

from ingestor.errors import ImageRejected
from ingestor.images.header import Header
from ingestor.images.kinds import texts
from ingestor.images.source import Source
from ingestor.policy.formats import Format
from ingestor.policy.sizing import Size, fitting_box, turns_sides
from ingestor.ports import NormaliseRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`box` is the size to reach as the picture is stored, `upright` the same as it is seen."""

    orientation: int
    """To be baked into the pixels; 1: nothing to turn."""
    turned_by_decoder: bool
    first_frame: bool
    box: Size
    must_resize: bool
    too_many_bytes: bool
    rarely_read: bool
    """It is coded in a way that nobody can count on being read."""
    has_huge_profile: bool
    """Its colours are described in more than every reader unpacks: they are converted, and it is left out."""
    is_hopeless: bool
    """In its own format it would be too large even after resizing."""
    source_size: Size
    source_format: Format

    @property
    def passes(self) -> bool:
        """The bytes comply: they are not touched."""
        return self.fits_but_for_bytes and not self.too_many_bytes

    @property
    def fits_but_for_bytes(self) -> bool:
        """The pixels comply: nothing but the size of the file may be wrong."""
        looks_wrong = self.orientation != 1 or self.first_frame or self.must_resize
        needs_pixels = looks_wrong or self.rarely_read or self.has_huge_profile
        return self.source_format.accepted_as is not None and not needs_pixels

    @property
    def format(self) -> str:
        """What is tried first: the picture's own format, unless the API refuses it or it is too large in it."""
        return "WEBP" if self.source_format.accepted_as is None or self.is_hopeless else self.source_format.name

    @property
    def upright(self) -> Size:
        return self.box.swapped if turns_sides(self.orientation) else self.box

    def steps(self, *, colour: bool, size: Size, written_as: str) -> tuple[str, ...]:
        """What has been done, in the words of `Payload.normalised`."""
        done = {
            "turned": self.orientation != 1 or self.turned_by_decoder,
            "first_frame": self.first_frame,
            "colour": colour or self.has_huge_profile,
            "recoded": self.rarely_read and written_as == self.source_format.name,
            "resized": size.pixels != self.source_size.pixels,
            "webp": written_as == "WEBP" and self.source_format.name != "WEBP",
        }
        return tuple(step for step, was_done in done.items() if was_done)


def plan(source: Source, header: Header, rules: NormaliseRules) -> Plan:
    """The plan. Raises `ImageRejected` (`animated`) where the settings refuse it."""
    box = fitting_box(header.size, rules.longest_side_px)
    too_many_bytes = source.size_bytes > rules.max_bytes
    return Plan(
        orientation=header.orientation if rules.orientation == "bake" else 1,
        turned_by_decoder=header.turned_by_decoder,
        first_frame=_only_first(source, header, rules, fits=box == header.size and not too_many_bytes),
        box=box,
        must_resize=box != header.size,
        too_many_bytes=too_many_bytes,
        rarely_read=header.rarely_read,
        has_huge_profile=header.format.name == "PNG" and len(header.attached.icc or b"") >= texts.MOST_BYTES,
        is_hopeless=_is_hopeless(source, header, box, rules),
        source_size=header.size,
        source_format=header.format,
    )


def _is_hopeless(source: Source, header: Header, box: Size, rules: NormaliseRules) -> bool:
    """Without loss, fewer pixels need more bytes each, never fewer; with loss, only the same pixels are hopeless."""
    share = box.pixels / header.size.pixels if header.format.name == "PNG" or box == header.size else 0.0
    return source.size_bytes * share > rules.max_bytes


def _only_first(source: Source, header: Header, rules: NormaliseRules, *, fits: bool) -> bool:
    if not header.has_more_pictures:
        return False
    if rules.animation == "reject":
        raise ImageRejected(
            "animated",
            f"{source.name}: has several frames or pages, and normalise.animation is reject; export the one you want",
        )
    upright = header.orientation == 1 or rules.orientation == "keep"
    return not (rules.animation == "keep" and header.format.accepted_as is not None and fits and upright)
