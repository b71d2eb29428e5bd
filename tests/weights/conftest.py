"""What needs PyTorch is not looked through for doctests."""

collect_ignore = ["torch_reference.py"]
