"""The training loop: the only one."""
