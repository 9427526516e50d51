import vit


class BitFit(vit.Method):
    """Every bias trains. Ben Zaken et al. 2022."""

    @staticmethod
    def unfrozen(name):
        return name.endswith("bias")


GOLDENS = {"bitfit": lambda model: BitFit()}
