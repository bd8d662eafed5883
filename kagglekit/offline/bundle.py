"""Build a bundle: the dataset folder with exactly what a Kaggle image lacks.

resolve (what is missing) → fetch (wheels) → needs (order, reasons) → manifest → check (the proof).
All of it happens in a working folder beside the result, which changes places with it at the end.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

import kagglekit
from kagglekit.errors import BundleError, KaggleImageError
from kagglekit.offline import (
    atomic,
    building,
    check,
    dataset,
    fetch,
    install,
    manifest,
    resolve,
    tools,
    wheel,
)
from kagglekit.offline import weights as recording
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.manifest import Manifest, Target, WheelEntry
from kagglekit.offline.needs import Needs
from kagglekit.offline.requirements import read as read_requirements
from kagglekit.offline.requirements import refuse_unseen_extras
from kagglekit.offline.wheel import Wheel

INSTALLER = "install.py"


@dataclass(frozen=True)
class Bundle:
    """A finished bundle: `folder` to upload, and its `manifest`."""

    folder: Path
    manifest: Manifest


@dataclass(frozen=True)
class _Share:
    """What one Kaggle image gets: `wheels` in install order, and who needs what."""

    image: KaggleImage
    wheels: list[Wheel]
    needs: Needs


@dataclass(frozen=True)
class _Source:
    """Where wheels come from: the stub, a new folder to work in, uv's date, earlier wheels."""

    stub: resolve.Stub
    work: Path
    dated: Sequence[str]
    earlier: Sequence[Path]
    progress: Callable[[str], None]


def build(
    requirements: Path | Sequence[str],
    image: KaggleImage | Sequence[KaggleImage],
    out: Path,
    project: Path | Sequence[Path] = (),
    *,
    owner: str | None = None,
    weights: str | None = None,
    exclude_newer: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Bundle:
    """Build a bundle, prove it, and only then put it in the place of an earlier one.

    uv and pip find the package index as they always do, through their own settings.

    Args:
        requirements: a `requirements.in`, or its lines.
        image: the Kaggle image that the bundle must fit, or several.
        out: the dataset folder; its name becomes the dataset's slug. An earlier bundle there is
            replaced, anything else is left alone.
        project: a folder with a `pyproject.toml` whose wheel is bundled too, or a wheel; one or
            several. A package of that name on the index is never looked at.
        owner: Kaggle user name; without it, the one of the earlier bundle is kept.
        weights: a model factory, "models.py:make", whose downloads are bundled too.
        exclude_newer: date such as "2026-11-01": what the index got later does not count.
        progress: is told each step, in a line; for several images from several threads.

    Raises:
        BundleError: it cannot be built; a subclass for each class of reason. Nothing is written.
    """
    tools.find_uv()
    tools.find_pip()  # said before the work that leads up to them
    if weights is not None:
        recording.check(weights)
    out = out.resolve()  # of a link, the folder that it leads to is what changes
    images = [image] if isinstance(image, KaggleImage) else list(image)
    _refuse_namesakes(images)
    asked = read_requirements(requirements)
    metadata = dataset.metadata(owner or _owner_of(out) or dataset.NO_OWNER, out.name)
    _refuse_foreign(out)
    dated = ["--exclude-newer", exclude_newer] if exclude_newer else []
    with atomic.workplace(out) as work, tools.scratch() as fast:
        folder = work / "bundle"
        folder.mkdir()
        own = []
        for index, each in enumerate([project] if isinstance(project, Path) else project):
            progress(f"building the wheel of {each}")
            own.append(wheel.read(building.project_wheel(each, work / f"project-{index}")))

        def share(one: KaggleImage) -> _Share:
            said = f"Python {one.python}, {len(one.packages)} packages"
            progress(f"resolving for {one.name} ({said})")
            stub = resolve.Stub.write(one, Path(fast, f"image-{one.name}"))
            source = _Source(stub, work / f"image-{one.name}", dated, _earlier(out, one), progress)
            return _share(asked, own, one, source)

        # In threads, for each waits for uv, which waits for the index.
        with ThreadPoolExecutor(len(images)) as pool:
            try:
                pending = [pool.submit(share, one) for one in images]
                for first in as_completed(pending):
                    first.result()  # fails at once, whichever it is
                shares = [each.result() for each in pending]
            except BaseException:  # stopped, or one has failed: the others need not go on
                tools.end()
                raise
        for file in {each.path.name: each.path for s in shares for each in s.wheels}.values():
            shutil.copyfile(file, folder / file.name)
        recorded_by = ""
        if weights is not None:
            recorded_by = recording.origin(weights)
            progress(f"recording the weights of {weights}")
            recording.record(weights, folder, _recorded(out, recorded_by))
        made = _write(folder, asked, shares, own, metadata, recorded_by)
        for one in images:
            progress(f"proving it offline against {one.name}")
            check.check_bundle(folder, one, [each for share in shares for each in share.wheels])
        atomic.put(folder, out)
    return Bundle(out, made)


def _share(
    asked: Sequence[Requirement], own: Sequence[Wheel], image: KaggleImage, source: _Source
) -> _Share:
    """Resolve and fetch for one Kaggle image."""
    for each in own:
        if each.name in image.packages:
            raise KaggleImageError(
                f"the list of `{image.name}` holds `{each.name}` itself: it was taken after a"
                " bundle had been installed",
                hint="take the list in a fresh session, before anything is installed",
            )
    refuse_unseen_extras(asked, image)
    stub, work, dated = source.stub, source.work, source.dated
    direct = [f"{each.name} @ {each.path.resolve().as_uri()}" for each in own]
    pins = resolve.missing([*map(str, asked), *direct], stub, dated)
    ours = {each.name for each in own}
    foreign = [pin for pin in pins if pin.name not in ours]
    fetched = work / "wheels"
    fetched.mkdir(parents=True)
    ready = [(pin.name, pin.version) for pin in foreign if not pin.from_source]
    fetch.download(ready, image, fetched, work, dated, source.earlier)
    for pin in foreign:
        if pin.from_source:
            source.progress(f"building {pin.name} {pin.version}, which exists only as source")
            built = building.source_wheel(pin.name, pin.version, work / f"of-{pin.name}", dated)
            built.rename(fetched / built.name)
    wheels = [wheel.read(path) for path in sorted(fetched.glob("*.whl"))]
    wheels += own
    needs = Needs([*asked, *(Requirement(name) for name in sorted(ours))], wheels, image)
    return _Share(image, needs.in_order(), needs)


def _earlier(out: Path, image: KaggleImage) -> list[Path]:
    """Return the wheels that an earlier bundle holds for this image."""
    if not (out / manifest.FILE).is_file():
        return []
    targets = [target for target in Manifest.read(out).targets if target.image == image.name]
    return [out / file for target in targets for file in target.install]


def _recorded(out: Path, origin: str) -> Path | None:
    """Return an earlier bundle if its weights are whole and of the same factory."""
    if not origin or not (out / manifest.FILE).is_file():
        return None
    earlier = Manifest.read(out)
    same = earlier.recorded_by == origin and recording.hashes(out) == earlier.weights
    return out if same else None


def _write(
    folder: Path,
    asked: Sequence[Requirement],
    shares: Sequence[_Share],
    own: Sequence[Wheel],
    metadata: dict[str, object],
    recorded_by: str,
) -> Manifest:
    """Write what lies beside the wheels, and return the manifest."""
    shutil.copyfile(install.__file__, folder / INSTALLER)
    (folder / dataset.FILE).write_text(json.dumps(metadata, indent=1) + "\n", encoding="utf-8")
    entries: dict[str, WheelEntry] = {}
    targets = []
    for share in shares:
        name = share.image.name
        lock = "requirements.lock" if len(shares) == 1 else f"requirements-{name}.lock"
        (folder / lock).write_text("".join(f"{each.pin}\n" for each in share.wheels), "utf-8")
        for each in share.wheels:
            ours = each.name in {one.name for one in own}
            why = manifest.OWN if ours else share.needs.why(each.name)
            entries[each.path.name] = _entry(each, why)
        targets.append(
            Target(
                image=name,
                python=share.image.python,
                glibc=share.image.glibc,
                lock=lock,
                install=tuple(each.path.name for each in share.wheels),
                expects=share.needs.expects(),
            )
        )
    made = Manifest(
        made_by=f"kagglekit {kagglekit.__version__}",
        requirements=tuple(map(str, asked)),
        wheels=tuple(entries[file] for file in sorted(entries)),
        targets=tuple(targets),
        files={
            name: install.sha256_of(folder / name)
            for name in sorted([INSTALLER, *(target.lock for target in targets)])
        },
        weights=recording.hashes(folder),
        recorded_by=recorded_by,
    )
    (folder / manifest.FILE).write_text(made.to_json(), encoding="utf-8")
    return made


def _entry(each: Wheel, why: str) -> WheelEntry:
    return WheelEntry(
        file=each.path.name,
        name=each.name,
        version=each.version,
        size=each.size,
        sha256=each.sha256,
        imports=each.imports,
        licence=each.licence,
        why=why,
    )


def _refuse_namesakes(images: Sequence[KaggleImage]) -> None:
    names = [image.name for image in images]
    if len(set(names)) < len(names) or not names:
        raise KaggleImageError(
            f"a bundle needs one or more Kaggle images of different names, not {names}",
            hint="a list from a file is called by the file's name: rename it",
        )


def _owner_of(out: Path) -> str | None:
    """Return the owner that an earlier bundle's metadata names, or None."""
    try:
        content = json.loads((out / dataset.FILE).read_text(encoding="utf-8"))
        return str(content["id"]).partition("/")[0]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _refuse_foreign(out: Path) -> None:
    """Refuse to replace a folder that holds anything but an earlier bundle."""
    if not out.exists():
        return
    foreign = sorted(path.name for path in out.iterdir()) if out.is_dir() else [out.name]
    if (out / manifest.FILE).is_file():
        earlier = Manifest.read(out)
        known = {manifest.FILE, dataset.FILE, *earlier.files, *(w.file for w in earlier.wheels)}
        known |= {name.split("/")[0] for name in earlier.weights}
        foreign = [name for name in foreign if name not in known]
    if foreign:
        raise BundleError(
            f"`{out}` holds more than an earlier bundle, and would be replaced as a whole",
            problems=[f"found `{name}`" for name in foreign[:10]],
            hint="move it away, or choose another folder with --out",
        )
