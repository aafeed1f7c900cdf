import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from lrbench.data import ImageData, check, load, train_size
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


def loaded(root: Path) -> ImageData:
    return load(f"folder:{root}")


def flipped(content: bytes, place: int) -> bytes:
    place %= len(content)
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def touch_later(path: Path) -> None:
    os.utime(path, (time.time() + 10, time.time() + 10))


def test_images_come_as_they_are(photos: Path) -> None:
    data = loaded(photos)
    assert (data.classes, data.augmentation) == (("cat", "dog"), PHOTOS)
    assert data.train_images.shape == data.test_images.shape == (6, 3, 32, 32)
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    second = np.asarray(Image.open(photos / "train" / "dog" / "1.png")).transpose(2, 0, 1)
    assert np.array_equal(data.train_images[4], second)


def test_one_image_in_colour_makes_all_colour(tmp_path: Path) -> None:
    root = image_folder(tmp_path / "mixed", mode="L")
    grey = loaded(root)
    assert grey.image_shape == (1, 32, 32) and grey.augmentation == DIGITS
    Image.new("RGB", (32, 32), (1, 2, 3)).save(root / "test" / "dog" / "2.png")
    data = load_folder(f"folder:{root}", reading="accept")
    assert data.image_shape == (3, 32, 32)
    assert np.array_equal(data.train_images, grey.train_images.repeat(3, axis=1))
    assert data.test_images[5, :, 0, 0].tolist() == [1, 2, 3]


def test_what_is_no_image_does_not_count(photos: Path) -> None:
    cats = photos / "train" / "cat"
    for name in ("notes.txt", ".hidden.png", "../README.md"):
        (cats / name).write_text("no image")
    for folder in (cats / "more", photos / "train" / ".ipynb_checkpoints"):
        folder.mkdir()
    shutil.copy(cats / "0.png", cats / "more" / "x.PNG")
    assert len(loaded(photos).train_labels) == train_size(f"folder:{photos}") == 7


def test_progress_is_reported_and_the_second_use_opens_no_image(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[int, int]] = []
    first = load_folder(f"folder:{photos}", lambda *count: heard.append(count))
    assert heard[0] == (0, 12) and heard[-1] == (12, 12)
    monkeypatch.setattr(Image, "open", None)
    assert load_folder(f"folder:{photos}", lambda *_: heard.clear()).digest == first.digest
    assert heard


def test_a_copied_folder_with_the_same_bytes_is_the_same(photos: Path) -> None:
    first = loaded(photos)
    for path in photos.rglob("*.png"):
        touch_later(path)
    assert loaded(photos).digest == first.digest
    known = read_cache(photos, "again")
    assert known is not None and known.stats == scan(photos).stats


@pytest.mark.parametrize("change", ["flip", "gone", "new", "swap"])
def test_a_changed_folder_is_refused_by_name_until_it_is_accepted(
    photos: Path, change: str
) -> None:
    first = loaded(photos)
    path, other = (photos / "test" / name / "1.png" for name in ("cat", "dog"))
    content, word = path.read_bytes(), "has changed"
    match change:
        case "flip":
            path.write_bytes(flipped(content, -30))
        case "gone":
            path.unlink()
            word = "has vanished"
        case "new":
            path = path.with_name("9.png")
            path.write_bytes(content)
            word = "is new"
        case "swap":
            path.write_bytes(other.read_bytes())
            other.write_bytes(content)
    touch_later(path.parent if change == "gone" else path)
    with pytest.raises(MachineError, match=rf"{path.name} {word}.*lrbench data fetch"):
        loaded(photos)
    if change in {"gone", "new", "swap"}:
        accepted, _, _ = check(f"folder:{photos}", fetch=True)
        assert accepted.digest == loaded(photos).digest != first.digest
    else:
        with pytest.raises(MachineError, match=r"1\.png is not a readable image"):
            check(f"folder:{photos}", fetch=True)


def test_a_picture_in_a_language_starts_no_program(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PIL would hand EPS to Ghostscript, whatever the name of the file."""
    started: list[object] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: started.append(1))
    picture = next(photos.rglob("*.png"))
    Image.open(picture).convert("RGB").save(photos / "as.eps")
    (photos / "as.eps").replace(picture)
    with pytest.raises(MachineError, match="is not a readable image"):
        loaded(photos)
    assert not started


def test_check_reads_every_file_even_where_size_and_time_are_the_same(photos: Path) -> None:
    first, folder, _ = check(f"folder:{photos}")
    assert folder == photos
    path = photos / "train" / "dog" / "2.png"
    status = path.stat()
    path.write_bytes(flipped(path.read_bytes(), -30))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert loaded(photos).digest == first.digest
    with pytest.raises(MachineError, match=r"2\.png has changed"):
        check(f"folder:{photos}")


def test_a_damaged_cache_is_made_again(photos: Path) -> None:
    first, path = loaded(photos), cache_file(photos)
    whole = path.read_bytes()
    middle = len(whole) // 2
    for content in (b"", whole[:middle], whole[:-1], flipped(whole, middle)):
        path.write_bytes(content)
        assert loaded(photos).digest == first.digest
        assert path.read_bytes()[:2] == b"PK"
    for array in ("stats", "digests", "train_labels"):
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        np.savez(path, **{**arrays, array: np.roll(arrays[array], 1)})
        assert read_cache(photos, "again") is None
        assert loaded(photos).digest == first.digest


def test_a_cache_that_cannot_be_written_is_done_without(photos: Path, cache: Path) -> None:
    cache.write_text("a file where a folder should be")
    assert loaded(photos).digest == loaded(photos).digest
    assert cache.read_text().startswith("a file")


def spoilt(width: int, mode: str) -> Callable[[Path], object]:
    return lambda root: Image.new(mode, (width, 32)).save(root / "train" / "dog" / "1.png")


def removed(*parts: str) -> Callable[[Path], object]:
    return lambda root: [shutil.rmtree(root / part) for part in parts]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (removed(""), "there is no folder .*train"),
        (removed("test"), "there is no folder .*test"),
        (removed("test/dog"), "test has no folder for .*'dog'"),
        (removed("train/cat"), "train has no folder for .*'cat'"),
        (removed("train/cat", "test/cat"), "train needs two classes or more, not 1"),
        (lambda root: (root / "test" / "cat" / "1.png").write_bytes(b"no"), r"1\.png is not a"),
        (lambda root: [p.unlink() for p in (root / "train/cat").iterdir()], "cat holds no image"),
        (spoilt(31, "RGB"), r"dog/1\.png is 31 x 32 pixels, .*cat/0\.png is 32 x 32"),
        (spoilt(32, "I;16"), r"dog/1\.png has more than 8 bits"),
    ],
)
def test_a_wrong_structure_is_refused_by_name(
    photos: Path, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(photos)
    with pytest.raises(MachineError, match=words) as fault:
        loaded(photos)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("name", ["folder:", "folder:a\0b"])
def test_no_path_is_wrong_use(name: str) -> None:
    with pytest.raises(UsageError, match="--dataset"):
        load(name)


def test_a_folder_of_classes_alone_gives_a_fifth_of_each_for_testing(tmp_path: Path) -> None:
    plain = image_folder(tmp_path / "made", per_class=6) / "train"
    listing = scan(plain)
    assert (listing.train, listing.labels) == (8, [0] * 4 + [1] * 4 + [0, 0, 1, 1])
    assert listing == scan(plain)
    assert loaded(plain).test_labels.tolist() == [0, 0, 1, 1]
    one = image_folder(tmp_path / "one", per_class=1) / "train"
    with pytest.raises(MachineError, match="cat holds one image"):
        loaded(one)
