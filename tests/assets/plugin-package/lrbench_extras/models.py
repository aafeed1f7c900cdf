"""A network without a hidden layer."""

from lrbench.models import MODELS


@MODELS.register("softmax", "one linear layer")
def softmax(image_shape: tuple[int, int, int], classes: int):
    from torch import nn

    channels, height, width = image_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, classes))
