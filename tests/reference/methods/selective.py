import vit


class Selective(vit.Method):
    """The tensors that stand under `parts` in the last `count` blocks train."""

    def __init__(self, model, parts, count):
        super().__init__()
        depth = len(model.blocks)
        self.prefixes = tuple(f"blocks.{i}.{part}" for i in range(depth - count, depth) for part in parts)

    def unfrozen(self, name):
        return name.startswith(self.prefixes)


GOLDENS = {
    "selective_attention": lambda model: Selective(model, ("attn.",), 2),
    "selective_mlp": lambda model: Selective(model, ("mlp.",), 1),
    "selective_block": lambda model: Selective(model, ("",), 1),
    "selective_qkv": lambda model: Selective(model, ("attn.qkv.",), 1),
    "selective_fc2": lambda model: Selective(model, ("mlp.fc2.",), 1),
}
