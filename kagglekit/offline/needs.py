"""Who needs what: why a wheel is bundled, what comes first, what the Kaggle image must bring."""

from collections.abc import Iterable, Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kagglekit.offline.image import UNKNOWN_VERSION, KaggleImage
from kagglekit.offline.wheel import Wheel


class Needs:
    """The requirements of one bundle, as they hold on one Kaggle image.

    Args:
        wanted: what was asked for.
        wheels: what is bundled for the image.
        image: whose Python decides which markers hold.
    """

    def __init__(
        self, wanted: Sequence[Requirement], wheels: Sequence[Wheel], image: KaggleImage
    ) -> None:
        self._image = image
        self._wheels = {wheel.name: wheel for wheel in sorted(wheels, key=lambda wheel: wheel.name)}
        everything = [*wanted, *(line for wheel in wheels for line in wheel.requires)]
        self._extras: dict[str, set[str]] = {}
        for line in everything:
            self._extras.setdefault(canonicalize_name(line.name), set()).update(line.extras)
        self._asked = self._names("", wanted)
        self._needed = {
            name: self._names(name, wheel.requires) for name, wheel in self._wheels.items()
        }

    def why(self, name: str) -> str:
        """Return why a wheel is in the bundle: "asked for" or "needed by …"."""
        if name in self._asked:
            return "asked for"
        return "needed by " + ", ".join(
            other for other, names in self._needed.items() if name in names
        )

    def expects(self) -> dict[str, str]:
        """Return what the bundle counts on from the image: name to version, "" where unknown."""
        names = self._asked.union(*self._needed.values()) - set(self._wheels)
        found = {name: self._image.version_of(name) for name in sorted(names)}
        return {
            name: "" if version == UNKNOWN_VERSION else version
            for name, version in found.items()
            if version is not None
        }

    def in_order(self) -> list[Wheel]:
        """Return the wheels, dependencies first, otherwise by name; cycles are cut somewhere."""
        ordered: dict[str, Wheel] = {}
        started: set[str] = set()

        def place(name: str) -> None:
            if name not in self._wheels or name in started:
                return
            started.add(name)
            for needed in sorted(self._needed[name]):
                place(needed)
            ordered[name] = self._wheels[name]

        for name in self._wheels:
            place(name)
        return list(ordered.values())

    def _names(self, owner: str, lines: Iterable[Requirement]) -> set[str]:
        """Return the names in `lines` whose markers hold, with the extras asked of `owner`."""
        extras = {"", *self._extras.get(owner, ())}
        environments = [self._environment() | {"extra": extra} for extra in extras]
        return {
            canonicalize_name(line.name)
            for line in lines
            if line.marker is None or any(map(line.marker.evaluate, environments))
        }

    def _environment(self) -> dict[str, str]:
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self._image.python}.0",
            "os_name": "posix",
            "platform_machine": "x86_64",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self._image.python}.0",
            "python_version": self._image.python,
            "sys_platform": "linux",
        }
