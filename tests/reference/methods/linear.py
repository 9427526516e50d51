import vit


class Linear(vit.Method):
    """Linear probing: only the head trains."""


GOLDENS = {"linear": lambda model: Linear()}
