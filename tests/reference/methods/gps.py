import torch
import torch.nn.functional as F
from torch import nn

import vit
from methods.lora import LAYERS, sizes


class GPS(vit.WithParams):
    """layer(x) += x D^T, where row i of D holds value[i, k] at column index[i, k] and 0 elsewhere; biases of the four
    layers and of the patch projection learn as well. Zhang et al. 2024.

    The indices are whole numbers and fixed; which ones the method picks is checked elsewhere.
    """

    def __init__(self, model, k):
        params = {}
        for layer in LAYERS:
            inputs, outputs = sizes(model)[layer]
            for i in range(len(model.blocks)):
                params[f"value.{layer}/{i}"] = nn.Parameter(torch.zeros(outputs, k))
                params[f"index.{layer}/{i}"] = nn.Parameter(torch.zeros(outputs, k), requires_grad=False)
        params["count"] = nn.Parameter(torch.zeros(sum(sizes(model)["FC2"])), requires_grad=False)
        super().__init__(params)

    def settle(self, index, inputs):
        """Distinct columns in each row, in the place of what `randomise` wrote."""
        rows, k = index.shape
        index.data = ((7 * torch.arange(rows)[:, None] + 5 * torch.arange(k)) % inputs).double()

    def at(self, site, block, x, seen):
        if site not in LAYERS:
            return x
        u = seen[LAYERS[site][0]]
        value, index = (self.params[f"{name}.{site}/{block}"] for name in ("value", "index"))
        count = self.params["count"]
        count.data = torch.arange(len(count)).double()
        self.settle(index, u.shape[-1])
        update = torch.zeros(value.shape[0], u.shape[-1], dtype=value.dtype)
        return x + F.linear(u, update.scatter(1, index.long(), value))

    def unfrozen(self, name):
        return name.endswith("bias") and "norm" not in name


GOLDENS = {"gps": lambda model: GPS(model, k=1), "gps_three": lambda model: GPS(model, k=3)}
