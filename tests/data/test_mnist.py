"""The MNIST family, in small files: digests are swapped for theirs, all else is the product's own
way."""

import gzip
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import FashionMNIST, utils

from lrbench.data import load
from lrbench.data.mnist import FASHION, FILES, MNIST, Family, read
from lrbench.errors import MachineError

from .makers import idx

IMAGES, LABELS, _, TEST_LABELS = FILES
Ways = list[tuple[Family, bool]]
WAYS = [(MNIST, False), (FASHION, True), (FASHION, False)]  # with archives or without


@pytest.fixture(autouse=True)
def resources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FashionMNIST, "resources", FashionMNIST.resources)  # `write` changes them


def write(folder: Path, family: Family, *, archives: bool) -> Family:
    """The four files of a family, 20 and 10 images, and the family with their digests; those of its
    archives are torchvision's from then on."""
    random = np.random.default_rng(0)
    raw = folder / family.torchvision_class / "raw"
    raw.mkdir(parents=True)
    for name, count in zip(FILES, (20, 20, 10, 10), strict=True):
        is_labels = name in (LABELS, TEST_LABELS)
        array = np.arange(count) % 10 if is_labels else random.integers(0, 256, (count, 28, 28))
        (raw / name).write_bytes(idx(array))
        if archives:
            (raw / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    if archives:
        md5 = [(p.name, hashlib.md5(p.read_bytes()).hexdigest()) for p in raw.glob("*.gz")]
        FashionMNIST.resources = md5
    digests = tuple(hashlib.sha256((raw / name).read_bytes()).hexdigest() for name in FILES)
    return replace(family, sha256=digests) if family.sha256 else family


def changed(place: int, value: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:place] + bytes([value]) + content[place + 1 :]


@pytest.mark.parametrize(("family", "archives"), WAYS)
def test_reads_what_is_sound(tmp_path: Path, family: Family, archives: bool) -> None:
    data = read(write(tmp_path, family, archives=archives), tmp_path)
    assert data.train_images.shape == (20, 1, 28, 28)
    assert data.test_labels.tolist() == list(range(10))
    assert (data.name, data.classes) == (family.name, family.classes)


@pytest.mark.parametrize(
    ("ways", "file", "damage", "words"),
    [
        (WAYS[:2], IMAGES, changed(800, 3), f"{IMAGES} is damaged.*--download"),
        (WAYS[:2], LABELS, changed(8, 1), f"{LABELS} is damaged"),
        (WAYS, IMAGES, lambda content: b"", f"{IMAGES} is damaged"),
        (WAYS, IMAGES, changed(7, 21), f"{IMAGES} is damaged"),
        (WAYS, TEST_LABELS, lambda content: content[:-1], f"{TEST_LABELS} is damaged"),
        (WAYS[1:2], f"{IMAGES}.gz", changed(40, 0), r"gz is damaged: its md5"),
        (WAYS[2:], LABELS, changed(8, 10), "is damaged: training set: labels from 0 to 10"),
    ],
)
def test_damage_is_refused_by_name(
    tmp_path: Path, ways: Ways, file: str, damage: Callable[[bytes], bytes], words: str
) -> None:
    for number, (family, archives) in enumerate(ways):
        folder = tmp_path / str(number)
        known = write(folder, family, archives=archives)
        path = folder / family.torchvision_class / "raw" / file
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(MachineError, match=words):
            read(known, folder)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_missing_set_says_where_it_was_sought_and_what_to_do(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRBENCH_DATA_DIR", str(tmp_path / "env"))
    for given, sought in ((tmp_path / "given", "given"), (None, "env")):
        with pytest.raises(MachineError, match="mnist5k needs no download") as fault:
            load(name, given)
        for word in (str(tmp_path / sought), "--data-dir", "LRBENCH_DATA_DIR", "--download"):
            assert word in str(fault.value)
        assert fault.value.exit_code == 3


def test_archives_and_classes_are_torchvisions() -> None:
    assert [name for name, _ in FashionMNIST.resources] == [f"{name}.gz" for name in FILES]
    assert FASHION.classes == tuple(FashionMNIST.classes)


def test_download_runs_torchvisions_own_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """torchvision fetches from a mirror (here a folder), checks, unpacks; then it is read."""
    source = tmp_path / "source"
    known = write(source, FASHION, archives=True)
    raw = source / "FashionMNIST" / "raw"
    monkeypatch.setattr(utils, "_get_redirect_url", lambda url, **_: url)
    monkeypatch.setattr(
        utils, "_urlretrieve", lambda url, to: shutil.copy(raw / Path(url).name, to)
    )
    data = read(known, tmp_path / "fresh", download=True)
    assert data.digest == read(known, source).digest
    assert capsys.readouterr().out == ""
