"""What a file that cannot be used says about itself."""

from trackmaster.errors import TrackmasterError

DAMAGED = "The file is damaged or cut short: delete it and download or save it again"
UNSUPPORTED = (
    "trackmaster reads the files of TrackMania United, United Forever and Nations Forever: "
    "save the map or replay with one of them"
)


class GbxError(TrackmasterError):
    """A .Gbx file is damaged, cut short, oversized or of a game that is not supported.

    Attributes:
        file: name of the file, or of the bytes that were given.
        offset: byte at which reading stopped, counted in ``region``; None where no single place is to blame.
        region: what ``offset`` counts in: ``file``, ``unpacked body``, ``ghost data`` ...
        found: what was found there and what was expected.
        advice: what to do.
    """

    def __init__(
        self, file: str, found: str, *, advice: str = DAMAGED, offset: int | None = None, region: str = "file"
    ) -> None:
        self.file = file
        self.found = found
        self.advice = advice
        self.offset = offset
        self.region = region
        place = "" if offset is None else f"byte {offset} of the {region}: "
        super().__init__(f"{file}: {place}{found}. {advice}.")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.file, self.found, self.advice, self.offset, self.region)


def _rebuild(file: str, found: str, advice: str, offset: int | None, region: str) -> GbxError:
    """Return the same error in another process (exceptions with keyword arguments do not travel by themselves)."""
    return GbxError(file, found, advice=advice, offset=offset, region=region)


class ScriptError(TrackmasterError):
    """A line of a TMInterface script, or a timeline to be written as one, cannot be expressed."""


class WriteError(TrackmasterError):
    """Something cannot be written into a .Gbx file as it is."""


class TimelineError(TrackmasterError):
    """A run is too long to be laid out tick by tick."""
