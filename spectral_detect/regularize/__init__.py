"""Train generators whose spectrum is right: the only home of torch, which the extra `torch` installs.

Nothing is imported here, so that the worker processes that read images do without torch.
"""
