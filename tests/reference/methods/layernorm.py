import vit


class LayerNorm(vit.Method):
    """Scale and shift of every norm train. Basu et al. 2023."""

    @staticmethod
    def unfrozen(name):
        return "norm" in name


GOLDENS = {"layernorm": lambda model: LayerNorm()}
