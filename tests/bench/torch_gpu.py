"""PyTorch's side of gpu_session.py. One JSON object a line, each printed as soon as it is known:

  torch_gpu.py gemm --shapes MxNxK,... --numbers fp16,bf16       TFLOP/s of x W^T by torch.matmul
  torch_gpu.py vit --model base --items lora,full [--compile]    images/s of timm (+ peft) under bf16 autocast
  torch_gpu.py copy                                              GB/s of a large copy, read and written

Times are the device's events where there are any, medians over --runs after three runs that are thrown away; peak
memory is what PyTorch's allocator held at most. An item that fails is a line that says why. On a CPU (--device cpu) a
clock takes the place of the events and peak memory is not known: for dry runs.
"""
import argparse
import gc
import json
import statistics
import time

import torch
import torch.nn.functional as F

MODELS = {"tiny": "vit_tiny_patch16_224", "small": "vit_small_patch16_224", "base": "vit_base_patch16_224",
          "large": "vit_large_patch16_224"}
NUMBERS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
COPIES = 4  # sets of operands that take turns, so that no cache holds them between runs


def seconds_of(work, args):
    """Seconds of each of args.runs calls of work(i), after three that are thrown away."""
    for i in range(3):
        work(i)
    if args.device == "cpu":
        out = []
        for i in range(args.runs):
            start = time.perf_counter()
            work(i)
            out.append(time.perf_counter() - start)
        return out
    marks = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(args.runs)]
    torch.cuda.synchronize()
    for i, (start, end) in enumerate(marks):
        start.record()
        work(i)
        end.record()
    torch.cuda.synchronize()
    return [start.elapsed_time(end) * 1e-3 for start, end in marks]


def gemm(args):
    for number in args.numbers.split(","):
        for shape in args.shapes.split(","):
            m, n, k = map(int, shape.split("x"))
            xs = [torch.randn(m, k, device=args.device).to(NUMBERS[number]) for _ in range(COPIES)]
            ws = [torch.randn(n, k, device=args.device).to(NUMBERS[number]) for _ in range(COPIES)]
            with torch.inference_mode():
                times = seconds_of(lambda i: torch.matmul(xs[i % COPIES], ws[i % COPIES].T), args)
            flops = 2e-12 * m * n * k
            yield {"number": number, "shape": shape, "tflops": flops / statistics.median(times),
                   "best_tflops": flops / min(times)}


def copy(args):
    count = (1 << 22) if args.device == "cpu" else (1 << 30)
    a, b = torch.randn(count, device=args.device), torch.empty(count, device=args.device)
    yield {"gbytes_per_s": 8e-9 * count / statistics.median(seconds_of(lambda i: b.copy_(a), args))}


class Prompted(torch.nn.Module):
    """VPT-deep on a timm ViT: fresh prompts behind the class token in every block, as the paper has it."""

    def __init__(self, vit, prompts):
        super().__init__()
        self.vit, self.count = vit, prompts
        self.prompts = torch.nn.Parameter(0.02 * torch.randn(len(vit.blocks), prompts, vit.embed_dim))

    def forward(self, x):
        x = self.vit.norm_pre(self.vit._pos_embed(self.vit.patch_embed(x)))
        for i, block in enumerate(self.vit.blocks):
            rest = x[:, 1:] if i == 0 else x[:, 1 + self.count:]
            prompts = self.prompts[i].expand(x.shape[0], -1, -1).to(x.dtype)
            x = block(torch.cat((x[:, :1], prompts, rest), dim=1))
        return self.vit.head(self.vit.norm(x)[:, 0])


def build(args, item):
    """The model for an item, with what trains left trainable."""
    import timm
    torch.manual_seed(0)
    model = timm.create_model(MODELS[args.model], pretrained=False, num_classes=args.classes, img_size=args.image,
                              depth=args.depth or {"large": 24}.get(args.model, 12))
    if item in ("inference", "full"):
        return model
    model.requires_grad_(False)
    model.head.requires_grad_(True)
    if item == "vpt":
        return Prompted(model, args.prompts)
    import peft
    return peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=8, lora_dropout=0.0, target_modules=["qkv"],
                                                      modules_to_save=["head"]))


def vit_item(args, item):
    model = build(args, item).to(args.device)
    images = [torch.randn(args.batch, 3, args.image, args.image, device=args.device) for _ in range(2)]
    labels = torch.randint(0, args.classes, (args.batch,), device=args.device)
    trainable = [p for p in model.parameters() if p.requires_grad]
    call = torch.compile(model) if args.compile else model

    def infer(i):
        with torch.inference_mode(), torch.autocast(args.device, torch.bfloat16):
            call(images[i % 2])

    def step(i):
        with torch.autocast(args.device, torch.bfloat16):
            loss = F.cross_entropy(call(images[i % 2]), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    start = time.perf_counter()
    if item == "inference":
        model.eval()
        times = seconds_of(infer, args)
    else:
        model.train()
        optimizer = torch.optim.AdamW(trainable, lr=1e-5, fused=args.device != "cpu")
        times = seconds_of(step, args)
    peak = None if args.device == "cpu" else torch.cuda.max_memory_allocated() / 2**20
    return {"images_per_s": args.batch / statistics.median(times), "best_images_per_s": args.batch / min(times),
            "peak_mib": peak, "all_seconds": time.perf_counter() - start,
            "trainable": sum(p.numel() for p in trainable)}


def vit(args):
    for item in args.items.split(","):
        try:
            row = vit_item(args, item)
        except Exception as e:  # whatever it is, the other items are still worth their time
            row = {"failed": f"{type(e).__name__}: {e}".strip().splitlines()[0][:300]}
        yield dict(model=args.model, item=item, compile=args.compile, **row)
        torch.compiler.reset()
        gc.collect()
        if args.device != "cpu":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("gemm", "vit", "copy"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shapes", default="12608x768x768")
    parser.add_argument("--numbers", default="fp16,bf16")
    parser.add_argument("--model", choices=MODELS, default="base")
    parser.add_argument("--items", default="inference,lora,vpt,full")
    parser.add_argument("--compile", action="store_true")
    for name, value in (("batch", 64), ("image", 224), ("classes", 1000), ("prompts", 10), ("depth", 0), ("runs", 20)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no CUDA device; --device cpu is for dry runs")
    torch.set_float32_matmul_precision("high")
    for row in {"gemm": gemm, "vit": vit, "copy": copy}[args.what](args):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
