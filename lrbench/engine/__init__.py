"""The one place with a training loop."""
