import subprocess
import sys
from pathlib import Path

import pytest

from lrbench.data import DATASETS, check, data_folder, listing, load, train_size
from lrbench.errors import UsageError


def test_listing_says_what_is_here(tmp_path: Path) -> None:
    states = {listed.name: listed.state for listed in listing(tmp_path)}
    assert states["mnist5k"] == "bundled"
    assert states["synthetic"] == "generated"
    assert states["mnist"] == states["cifar100"] == "missing"
    for file in DATASETS.get("cifar100").facts["files"]:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    found = {listed.name: listed for listed in listing(tmp_path)}["cifar100"]
    assert found.state == "here"
    assert found.path == tmp_path / "cifar-100-python"
    assert (found.train, found.test, found.classes) == (50_000, 10_000, 100)


def test_names_and_sizes_are_known_without_torch() -> None:
    code = (
        "import sys; from lrbench.data import listing, train_size, DATASETS;"
        "from lrbench.models import MODELS; from lrbench.optimizers import OPTIMIZERS;"
        "print(len(listing()), train_size('mnist'), MODELS.names(), OPTIMIZERS.names());"
        "heavy = {'torch', 'torchvision', 'PIL', 'mlxtend'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "60000" in done.stdout and "fastnet" in done.stdout


def test_where_data_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRBENCH_DATA_DIR", str(tmp_path))
    assert data_folder() == tmp_path
    assert data_folder(tmp_path / "given") == tmp_path / "given"
    assert data_folder(Path("~/x")) == Path.home() / "x"
    monkeypatch.delenv("LRBENCH_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "lrbench" in str(data_folder())


def test_unknown_names_get_a_suggestion() -> None:
    for use in (load, check, train_size):
        with pytest.raises(
            UsageError, match=r"(--dataset|NAME): unknown dataset 'mnist5'.*mnist5k"
        ):
            use("mnist5")


def test_check_says_what_was_found() -> None:
    found = check("mnist5k")
    assert (found.train, found.test, found.shape) == (4000, 1000, (1, 28, 28))
    assert found.digest == load("mnist5k").digest
    assert found.integrity == "SHA-256 of all images and labels"
