"""The MNIST family. The small files here carry few images: digests are swapped for theirs, all else
is the product's own way."""

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

TRAIN, TEST = 20, 10
SMALL = {
    "train-images-idx3-ubyte": (TRAIN, 28, 28),
    "train-labels-idx1-ubyte": (TRAIN,),
    "t10k-images-idx3-ubyte": (TEST, 28, 28),
    "t10k-labels-idx1-ubyte": (TEST,),
}
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture(autouse=True)
def resources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FashionMNIST, "resources", FashionMNIST.resources)  # `write` changes them


def write(folder: Path, family: Family, *, archives: bool) -> Family:
    """The four files of a family, and the family with their digests; those of its archives are
    torchvision's from then on."""
    random = np.random.default_rng(0)
    raw = folder / family.torchvision_class / "raw"
    raw.mkdir(parents=True)
    for name, shape in SMALL.items():
        array = random.integers(0, 256, shape) if len(shape) == 3 else np.arange(shape[0]) % 10
        (raw / name).write_bytes(idx(array))
        if archives:
            (raw / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    if archives:
        md5 = [(p.name, hashlib.md5(p.read_bytes()).hexdigest()) for p in raw.glob("*.gz")]
        FashionMNIST.resources = md5
    digests = tuple(hashlib.sha256((raw / name).read_bytes()).hexdigest() for name in SMALL)
    return replace(family, sha256=digests) if family.sha256 else family


def changed(place: int, value: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:place] + bytes([value]) + content[place + 1 :]


DAMAGES: list[tuple[str, Callable[[bytes], bytes]]] = [
    (IMAGES, lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]),
    (IMAGES, lambda content: content[:-100]),
    (IMAGES, lambda content: b""),
    (IMAGES, changed(7, TRAIN + 1)),
    (LABELS, changed(8, 1)),
    ("t10k-labels-idx1-ubyte", lambda content: content[:-1]),
]


@pytest.mark.parametrize(
    ("family", "archives"), [(MNIST, False), (FASHION, True), (FASHION, False)]
)
def test_reads_what_is_sound(tmp_path: Path, family: Family, archives: bool) -> None:
    known = write(tmp_path, family, archives=archives)
    data = read(known, tmp_path, download=False)
    assert data.train_images.shape == (TRAIN, 1, 28, 28)
    assert data.test_labels.tolist() == list(range(10))
    assert data.name == family.name


def spoil(path: Path, damage: Callable[[bytes], bytes]) -> None:
    path.write_bytes(damage(path.read_bytes()))


@pytest.mark.parametrize(("family", "archives"), [(MNIST, False), (FASHION, True)])
@pytest.mark.parametrize(("file", "damage"), DAMAGES)
def test_any_damage_is_refused_by_name(
    tmp_path: Path, family: Family, archives: bool, file: str, damage: Callable[[bytes], bytes]
) -> None:
    known = write(tmp_path, family, archives=archives)
    spoil(tmp_path / family.torchvision_class / "raw" / file, damage)
    with pytest.raises(MachineError, match=f"{file} is damaged.*--download"):
        read(known, tmp_path, download=False)


@pytest.mark.parametrize(
    ("archives", "file", "damage", "words"),
    [
        (False, LABELS, changed(8, 10), "damaged: training set: labels from 0 to 10"),
        (False, LABELS, changed(7, 3), "idx1-ubyte is damaged"),
        (False, IMAGES, lambda content: content[:-1], "idx3-ubyte is damaged"),
        (True, f"{IMAGES}.gz", changed(40, 0), r"gz is damaged: its md5"),
    ],
)
def test_what_fashion_is_held_to(
    tmp_path: Path, archives: bool, file: str, damage: Callable[[bytes], bytes], words: str
) -> None:
    known = write(tmp_path, FASHION, archives=archives)
    spoil(tmp_path / "FashionMNIST" / "raw" / file, damage)
    with pytest.raises(MachineError, match=words):
        read(known, tmp_path, download=False)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_missing_set_says_where_it_was_sought_and_what_to_do(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRBENCH_DATA_DIR", str(tmp_path / "env"))
    for given, sought in ((tmp_path / "given", "given"), (None, "env")):
        with pytest.raises(MachineError) as fault:
            load(name, given)
        text = str(fault.value)
        for word in (str(tmp_path / sought), "--data-dir", "LRBENCH_DATA_DIR", "--download"):
            assert word in text
        assert "mnist5k needs no download" in text
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
    assert data.digest == read(known, source, download=False).digest
    assert capsys.readouterr().out == ""
