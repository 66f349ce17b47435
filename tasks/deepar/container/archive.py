"""model.tar.gz: the same files give the same bytes."""

from __future__ import annotations

import gzip
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.deepar.container.failures import ClientError

_MODE = 0o644


def pack(folder: Path, archive: Path) -> None:
    """Pack the files of a model folder; order, owner, mode and times are fixed.

    Raises:
        ClientError: the folder holds no file.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else []
    if not files:
        raise ClientError(f"There is no model to pack in {folder}.")
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for file in files:
            entry = tarfile.TarInfo(file.relative_to(folder).as_posix())
            entry.size, entry.mode = file.stat().st_size, _MODE
            with file.open("rb") as stream:
                tar.addfile(entry, stream)


@contextmanager
def unpacked(model: Path) -> Iterator[Path]:
    """A model's folder: the folder itself, or an archive's content for as long as the context lasts.

    Raises:
        ClientError: the archive cannot be read, or holds anything but plain files below its root.
    """
    if model.is_dir():
        yield model
        return
    with TemporaryDirectory(prefix="deepar-model-") as folder:
        try:
            with tarfile.open(model, "r:gz") as tar:
                for entry in tar:
                    _extract(tar, entry, Path(folder))
        except (OSError, EOFError, tarfile.TarError) as error:
            raise ClientError(f"{model.name} is not a readable model archive ({error}).") from error
        yield Path(folder)


def _extract(tar: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path) -> None:
    # A plain name cannot point outside the folder; a model's files need nothing else.
    if not entry.isfile() or Path(entry.name).name != entry.name:
        raise ClientError(f"The model archive holds '{entry.name}', which is not a plain file at its root.")
    stream = tar.extractfile(entry)
    if stream is not None:
        with stream, (folder / entry.name).open("wb") as target:
            shutil.copyfileobj(stream, target)
