from pathlib import Path

import pytest
from torchvision import datasets

from lrbench.data import DATASETS, check, data_folder, load, train_size, whereabouts
from lrbench.errors import MachineError, UsageError


def test_what_is_here(tmp_path: Path) -> None:
    states = {entry.name: whereabouts(entry, tmp_path)[0] for entry in DATASETS}
    assert (states["mnist5k"], states["synthetic"]) == ("bundled", "generated")
    assert states["mnist"] == states["cifar100"] == "missing"
    for file in DATASETS.get("cifar100").facts["files"]:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    found = whereabouts(DATASETS.get("cifar100"), tmp_path)
    assert found == ("here", tmp_path / "cifar-100-python")


def test_where_data_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRBENCH_DATA_DIR", str(tmp_path))
    assert data_folder() == tmp_path
    assert data_folder(tmp_path / "given") == tmp_path / "given"
    assert data_folder(Path("~/x")) == Path.home() / "x"
    monkeypatch.delenv("LRBENCH_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "lrbench" in str(data_folder())


@pytest.mark.parametrize("use", [load, check, train_size])
def test_unknown_names_get_a_suggestion(use: object) -> None:
    with pytest.raises(UsageError, match=r"unknown dataset 'mnist5'.*mnist5k"):
        use("mnist5")  # type: ignore[operator]


def test_check_says_what_was_found() -> None:
    data, folder, checked = check("mnist5k")
    assert (data.digest, folder) == (load("mnist5k").digest, None)
    assert checked == "SHA-256 of all images and labels"


def test_a_download_speaks_on_stderr_and_fails_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(root: str, *, download: bool) -> None:
        print("Downloading")  # noqa: T201
        raise RuntimeError("no network\nmore")

    monkeypatch.setattr(datasets, "MNIST", offline)
    with pytest.raises(MachineError, match=r"mnist could not be fetched .*: no network; [^\n]*$"):
        load("mnist", tmp_path / "new", download=True)
    assert capsys.readouterr() == ("", "Downloading\n")
    assert (tmp_path / "new").is_dir()
