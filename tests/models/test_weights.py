"""torchvision's networks, and weights from elsewhere."""

import pickle
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from lrbench.errors import MachineError, UsageError
from lrbench.models import build, check

SMALL = "torchvision:shufflenet_v2_x0_5"
Stored = tuple[Path, dict[str, Tensor]]


@pytest.fixture
def weights(tmp_path: Path) -> Stored:
    """The state of the small network of torchvision with 1000 classes, in a file."""
    torch.manual_seed(3)
    state = torchvision.models.shufflenet_v2_x0_5().state_dict()
    torch.save(state, tmp_path / "weights.pt")
    return tmp_path / "weights.pt", state


def test_it_is_torchvisions_own_with_another_head() -> None:
    torch.manual_seed(0)
    ours = build(SMALL, (3, 32, 32), 7)
    torch.manual_seed(0)
    theirs = torchvision.models.shufflenet_v2_x0_5(num_classes=7)
    states = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in states)


def test_a_grey_image_gives_what_it_would_in_three_equal_channels() -> None:
    torch.manual_seed(0)
    grey = build(SMALL, (1, 32, 32), 7).eval()
    torch.manual_seed(0)
    coloured = build(SMALL, (3, 32, 32), 7).eval()
    images = torch.randn(4, 1, 32, 32)
    with torch.no_grad():
        whole = images.expand(-1, 3, -1, -1)
        first, theirs = grey.get_submodule("conv1.0"), coloured.get_submodule("conv1.0")
        torch.testing.assert_close(first(images), theirs(whole))
        torch.testing.assert_close(grey(images), coloured(whole))


def test_weights_of_a_file_fill_all_but_a_new_head(weights: Stored) -> None:
    path, state = weights
    torch.manual_seed(1)
    fresh = build(SMALL, (3, 32, 32), 10).state_dict()
    torch.manual_seed(1)
    model = build(SMALL, (3, 32, 32), 10, str(path))
    for key, value in model.state_dict().items():
        expected = fresh[key] if key.startswith("fc.") else state[key]
        assert torch.equal(value, expected), key


def test_weights_of_colour_serve_grey_images(weights: Stored) -> None:
    path, state = weights
    found = build(SMALL, (1, 32, 32), 10, str(path)).state_dict()["conv1.0.weight"]
    assert torch.equal(found, state["conv1.0.weight"].sum(1, keepdim=True))


def test_any_network_takes_weights_wrapped_or_of_a_parallel_module(tmp_path: Path) -> None:
    torch.manual_seed(5)
    model = build("lenet", (1, 28, 28), 10)
    state = {f"module.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "lenet.pt")
    again = build("lenet", (1, 28, 28), 10, str(tmp_path / "lenet.pt"))
    pairs = zip(model.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_another_networks_weights_are_refused(weights: Stored) -> None:
    with pytest.raises(UsageError, match=r"does not fit lenet: there is no 0\.weight"):
        build("lenet", (1, 28, 28), 10, str(weights[0]))


def test_a_file_that_holds_code_or_nonsense_is_refused(tmp_path: Path) -> None:
    whole, noise, strange = (tmp_path / f"{name}.pt" for name in ("whole", "noise", "strange"))
    torch.save(nn.Linear(2, 2), whole)
    noise.write_bytes(b"not weights at all")
    strange.write_bytes(pickle.dumps({"a": print}, protocol=4))
    for path in (whole, noise, strange):
        with pytest.raises(MachineError, match="it is not a weights file") as caught:
            build("lenet", (1, 28, 28), 10, str(path))
        assert "\n" not in str(caught.value)
    with pytest.raises(MachineError, match="there is no such file"):
        check("lenet", str(tmp_path / "none.pt"))


def test_published_weights_are_torchvisions(
    weights: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, state = weights
    asked = []

    def fetched(url: str, **options: object) -> dict[str, Tensor]:
        asked.append(url)
        return state

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetched)
    model = build(SMALL, (3, 32, 32), 10, "DEFAULT")
    assert torch.equal(model.state_dict()["conv1.0.weight"], state["conv1.0.weight"])
    kind = torchvision.models.ShuffleNet_V2_X0_5_Weights.DEFAULT
    assert asked == [kind.url]
    with pytest.raises(UsageError, match=r"--weights IMAGENET2K: .* did you mean IMAGENET1K_V1"):
        build(SMALL, (3, 32, 32), 10, "IMAGENET2K")


def test_weights_that_cannot_be_fetched_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(url: str, **options: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(MachineError, match="--weights DEFAULT: they cannot be fetched"):
        build(SMALL, (3, 32, 32), 10, "DEFAULT")


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("torchvision:resnt18", (3, 32, 32), "did you mean resnet18"),
        ("torchvision:fcn_resnet50", (3, 32, 32), "torchvision has no such classifier"),
        ("torchvision:vit_b_16", (3, 32, 32), "it does not accept images of 3 x 32 x 32"),
        ("torchvision:resnet18", (4, 32, 32), "takes images of 1 or 3 channels, not 4"),
    ],
)
def test_what_torchvision_cannot_do_is_one_line(
    name: str, shape: tuple[int, int, int], words: str
) -> None:
    with pytest.raises(UsageError, match=f"--model {name}") as caught:
        build(name, shape, 10)
    assert words in str(caught.value)
