"""Golden file of a whole, random, tiny CLIP for core/clip and core/vit: make_clip_golden.py FOLDER writes
FOLDER/clip_tiny.safetensors (Hugging Face's names, half precision; the vocabulary is clip_merges.txt's) and
FOLDER/clip_tiny_golden.safetensors: token rows, text features, images (bytes), image features, zero-shot logits.
All of it comes from transformers' CLIPModel in double."""
import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def main(folder):
    torch.manual_seed(7)
    golden = json.load(open(os.path.join(folder, "clip_tokens.json")))
    size = golden["size"]
    config = CLIPConfig(
        projection_dim=24,
        text_config=dict(vocab_size=size, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                         num_attention_heads=1, max_position_embeddings=20, bos_token_id=size - 2,
                         eos_token_id=size - 1, hidden_act="quick_gelu", projection_dim=24),
        vision_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=1,
                           image_size=24, patch_size=8, hidden_act="quick_gelu", projection_dim=24))
    model = CLIPModel(config).double().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name != "logit_scale":
                noise = torch.randn_like(p)
                p.copy_(1 + 0.2 * noise if "norm" in name and name.endswith("weight") else 0.25 * noise)
            p.copy_(p.half().double())
    state = {k: v.half().contiguous() for k, v in model.state_dict().items() if "position_ids" not in k}
    save_file(state, os.path.join(folder, "clip_tiny.safetensors"), {"format": "pt"})

    rows = []
    for row in golden["rows"]:
        if 0 < len(row["tokens"]) <= 18:
            tokens = [size - 2, *row["tokens"], size - 1]
            rows.append(tokens + [0] * (20 - len(tokens)))
    tokens = torch.tensor(rows[:40])
    images = torch.randint(0, 256, (5, 24, 24, 3), dtype=torch.uint8)
    pixels = (images.double() / 255 - torch.tensor(MEAN).double()) / torch.tensor(STD).double()
    with torch.no_grad():
        # positions behind the end are left as they are: the mask of attention is causal, as OpenAI's
        text = model.text_model(input_ids=tokens)
        last = text.last_hidden_state[torch.arange(len(tokens)), tokens.argmax(1)]
        text = model.text_projection(last)
        image = model.visual_projection(model.vision_model(pixel_values=pixels.permute(0, 3, 1, 2)).pooler_output)
        unit = torch.nn.functional.normalize
        # classes of four prompts each
        head = unit(unit(text, dim=1).reshape(10, 4, -1).mean(1), dim=1) * model.logit_scale.exp()
        logits = unit(image, dim=1) @ head.T
    save_file({"tokens": tokens.int(), "text": text.float(), "images": images, "image": image.float(),
               "head": head.float(), "logits": logits.float()},
              os.path.join(folder, "clip_tiny_golden.safetensors"))


if __name__ == "__main__":
    main(sys.argv[1])
