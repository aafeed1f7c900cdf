import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from lrbench.data import check, load, train_size
from lrbench.data.folder import cache_file, load_folder, read_cache, scan
from lrbench.data.image_data import DIGITS, PHOTOS
from lrbench.errors import MachineError, UsageError

from .makers import image_folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "photos")


def name_of(root: Path) -> str:
    return f"folder:{root}"


def test_images_come_as_they_are(photos: Path) -> None:
    data = load(name_of(photos))
    assert data.classes == ("cat", "dog")
    assert data.train_images.shape == data.test_images.shape == (6, 3, 32, 32)
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.augmentation == PHOTOS
    second = np.asarray(Image.open(photos / "train" / "dog" / "1.png")).transpose(2, 0, 1)
    assert np.array_equal(data.train_images[4], second)


def test_one_image_in_colour_makes_all_colour(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "mixed", mode="L")
    known = load(name_of(root))
    assert known.image_shape == (1, 32, 32) and known.augmentation == DIGITS
    grey = known.train_images
    colour = Image.new("RGB", (32, 32), (1, 2, 3))
    colour.save(root / "test" / "dog" / "2.png")
    data = load_folder(name_of(root), reading="accept")
    assert data.image_shape == (3, 32, 32)
    assert np.array_equal(data.train_images, grey.repeat(3, axis=1))
    assert data.test_images[5, :, 0, 0].tolist() == [1, 2, 3]


def test_what_is_no_image_does_not_count(photos: Path) -> None:
    (photos / "train" / "cat" / "notes.txt").write_text("no image")
    (photos / "train" / "cat" / ".hidden.png").write_text("no image")
    (photos / "train" / ".ipynb_checkpoints").mkdir()
    (photos / "train" / "README.md").touch()
    nested = photos / "train" / "cat" / "more"
    nested.mkdir()
    shutil.copy(photos / "train" / "cat" / "0.png", nested / "x.PNG")
    data = load(name_of(photos))
    assert len(data.train_labels) == 7
    assert train_size(name_of(photos)) == 7


def test_progress_is_reported_and_the_second_use_opens_no_image(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[int, int]] = []
    first = load(name_of(photos), progress=lambda done, whole: heard.append((done, whole)))
    assert heard[0] == (0, 12) and heard[-1] == (12, 12)
    heard.clear()
    monkeypatch.setattr(Image, "open", None)
    again = load(name_of(photos), progress=lambda done, whole: heard.append((done, whole)))
    assert heard == [] and again.digest == first.digest


def touch_later(path: Path) -> None:
    later = time.time_ns() + 10**10
    os.utime(path, ns=(later, later))


def test_a_copied_folder_with_the_same_bytes_is_the_same(photos: Path) -> None:
    first = load(name_of(photos))
    for path in photos.rglob("*.png"):
        touch_later(path)
    assert load(name_of(photos)).digest == first.digest
    known = read_cache(photos.resolve(), "again")
    assert known is not None and known.stats == scan(photos.resolve()).stats


@pytest.mark.parametrize("change", ["flip", "cut", "gone", "new", "swap"])
def test_a_changed_folder_is_refused_by_name_until_it_is_accepted(
    photos: Path, change: str
) -> None:
    first = load(name_of(photos))
    path = photos / "test" / "cat" / "1.png"
    content = bytearray(path.read_bytes())
    if change == "flip":
        content[-30] ^= 1
        path.write_bytes(content)
    elif change == "cut":
        path.write_bytes(content[:-50])
    elif change == "gone":
        path.unlink()
    elif change == "new":
        path = path.with_name("9.png")
        path.write_bytes(content)
    else:
        other = photos / "test" / "dog" / "1.png"
        path.write_bytes(other.read_bytes())
        other.write_bytes(content)
    touch_later(path.parent if change == "gone" else path)
    word = {"gone": "has vanished", "new": "is new"}.get(change, "has changed")
    with pytest.raises(MachineError, match=rf"{path.name} {word}.*lrbench data fetch"):
        load(name_of(photos))
    if change in {"gone", "new", "swap"}:
        accepted, _, _ = check(name_of(photos), fetch=True)
        assert accepted.digest == load(name_of(photos)).digest != first.digest
    else:
        with pytest.raises(MachineError, match=r"1\.png is no readable image"):
            check(name_of(photos), fetch=True)


def test_a_picture_in_a_language_starts_no_program(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PIL would hand EPS to Ghostscript, whatever the name of the file."""
    started: list[object] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: started.append(1))
    picture = next(photos.rglob("*.png"))
    Image.open(picture).convert("RGB").save(photos / "as.eps")
    (photos / "as.eps").replace(picture)
    with pytest.raises(MachineError, match="is no readable image"):
        load_folder(f"folder:{photos}")
    assert not started


def test_check_reads_every_file_even_where_size_and_time_are_the_same(photos: Path) -> None:
    first, folder, _ = check(name_of(photos))
    assert folder == photos and first.image_shape == (3, 32, 32)
    path = photos / "train" / "dog" / "2.png"
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert load(name_of(photos)).digest == first.digest
    with pytest.raises(MachineError, match=r"2\.png has changed"):
        check(name_of(photos))


def test_a_damaged_cache_is_made_again(photos: Path) -> None:
    first = load(name_of(photos))
    path = cache_file(photos.resolve())
    original = path.read_bytes()
    flipped = bytearray(original)
    flipped[len(flipped) // 2] ^= 1
    for content in (b"", original[: len(original) // 2], original[:-1], flipped):
        path.write_bytes(content)
        assert load(name_of(photos)).digest == first.digest
        assert path.read_bytes()[:2] == b"PK"


@pytest.mark.parametrize("array", ["stats", "digests", "train_labels"])
def test_a_cache_whose_arrays_were_changed_is_made_again(photos: Path, array: str) -> None:
    first = load(name_of(photos))
    path = cache_file(photos.resolve())
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **{**arrays, array: np.roll(arrays[array], 1)})
    assert read_cache(photos.resolve(), "again") is None
    assert load(name_of(photos)).digest == first.digest


def test_a_cache_that_cannot_be_written_is_done_without(photos: Path, cache: Path) -> None:
    cache.write_text("a file where a folder should be")
    assert load(name_of(photos)).digest == load(name_of(photos)).digest
    assert cache.read_text().startswith("a file")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: shutil.rmtree(root), "there is no folder .*train"),
        (lambda root: shutil.rmtree(root / "test"), "there is no folder .*test"),
        (lambda root: shutil.rmtree(root / "test" / "dog"), "test has no folder for .*'dog'"),
        (lambda root: shutil.rmtree(root / "train" / "cat"), "train has no folder for .*'cat'"),
        (
            lambda root: [p.unlink() for p in (root / "train" / "cat").iterdir()],
            "cat holds no image",
        ),
        (
            lambda root: (root / "test" / "cat" / "1.png").write_bytes(b"no"),
            r"1\.png is no readable",
        ),
        (
            lambda root: Image.new("RGB", (31, 32)).save(root / "train" / "dog" / "1.png"),
            r"dog/1\.png is 31 x 32 pixels, .*cat/0\.png is 32 x 32",
        ),
        (
            lambda root: Image.new("I;16", (32, 32)).save(root / "train" / "dog" / "1.png"),
            r"dog/1\.png has more than 8 bits",
        ),
    ],
)
def test_a_wrong_structure_is_refused_by_name(photos: Path, spoil: object, words: str) -> None:
    spoil(photos)  # type: ignore[operator]
    with pytest.raises(MachineError, match=words) as fault:
        load(name_of(photos))
    assert "\n" not in str(fault.value)


def test_one_class_is_nothing_to_learn_and_no_path_is_wrong_use(tmp_path: Path) -> None:
    for name in ("folder:", "folder:a\0b"):
        with pytest.raises(UsageError, match="--dataset"):
            load(name)
    for split in ("train", "test"):
        (tmp_path / split / "cat").mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(tmp_path / split / "cat" / "0.png")
    with pytest.raises(MachineError, match="train needs two classes or more, not 1"):
        scan(tmp_path)


def test_a_folder_of_classes_alone_gives_a_fifth_of_each_for_testing(tmp_path: Path) -> None:
    plain = image_folder(tmp_path / "made", per_class=6) / "train"
    listing = scan(plain)
    assert (listing.train, listing.labels) == (8, [0] * 4 + [1] * 4 + [0, 0, 1, 1])
    assert listing == scan(plain)
    assert load(name_of(plain)).test_labels.tolist() == [0, 0, 1, 1]


def test_a_class_of_one_image_cannot_be_split(tmp_path: Path) -> None:
    plain = image_folder(tmp_path / "made", per_class=1) / "train"
    with pytest.raises(MachineError, match="cat holds one image"):
        load(name_of(plain))
