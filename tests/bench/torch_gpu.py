"""PyTorch's side of gpu_session.py: one measurement a process, so that its peak memory is its own.

  torch_gpu.py gemm --shape MxNxK --number fp16            TFLOP/s of x W^T by torch.matmul
  torch_gpu.py vit --model base --item lora [--compile]    images/s of timm (+ peft) under bf16 autocast
  torch_gpu.py copy                                        GB/s of a large copy on the device, read and written

Prints one JSON object. Times are the device's events where there are any, medians over --runs after warm-up.
On a CPU (--device cpu) it does the same with a clock: for dry runs.
"""
import argparse
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
    m, n, k = map(int, args.shape.split("x"))
    number = NUMBERS[args.number]
    xs = [torch.randn(m, k, device=args.device).to(number) for _ in range(COPIES)]
    ws = [torch.randn(n, k, device=args.device).to(number) for _ in range(COPIES)]
    with torch.inference_mode():
        times = seconds_of(lambda i: torch.matmul(xs[i % COPIES], ws[i % COPIES].T), args)
    median = statistics.median(times)
    return {"tflops": 2e-12 * m * n * k / median, "best_tflops": 2e-12 * m * n * k / min(times)}


def copy(args):
    count = (1 << 22) if args.device == "cpu" else (1 << 30)
    a, b = torch.randn(count, device=args.device), torch.empty(count, device=args.device)
    median = statistics.median(seconds_of(lambda i: b.copy_(a), args))
    return {"gbytes_per_s": 8e-9 * count / median}


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


def build(args):
    """The model for an item, with what trains left trainable."""
    import timm
    torch.manual_seed(0)
    model = timm.create_model(MODELS[args.model], pretrained=False, num_classes=args.classes, img_size=args.image,
                              depth=args.depth or {"large": 24}.get(args.model, 12))
    if args.item in ("inference", "full"):
        return model
    for p in model.parameters():
        p.requires_grad_(False)
    for p in model.head.parameters():
        p.requires_grad_(True)
    if args.item == "vpt":
        return Prompted(model, args.prompts)
    import peft
    return peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=8, lora_dropout=0.0, target_modules=["qkv"],
                                                      modules_to_save=["head"]))


def vit(args):
    model = build(args).to(args.device)
    images = [torch.randn(args.batch, 3, args.image, args.image, device=args.device) for _ in range(2)]
    labels = torch.randint(0, args.classes, (args.batch,), device=args.device)
    call = torch.compile(model, mode=args.mode) if args.compile else model
    trainable = [p for p in model.parameters() if p.requires_grad]

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
    if args.item == "inference":
        model.eval()
        times = seconds_of(infer, args)
    else:
        model.train()
        optimizer = torch.optim.AdamW(trainable, lr=1e-5, fused=args.device != "cpu")
        times = seconds_of(step, args)
    peak = 0 if args.device == "cpu" else torch.cuda.max_memory_allocated()
    return {"images_per_s": args.batch / statistics.median(times), "best_images_per_s": args.batch / min(times),
            "peak_mib": peak / 2**20, "all_seconds": time.perf_counter() - start,
            "trainable": sum(p.numel() for p in trainable)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("gemm", "vit", "copy"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", default="12608x768x768")
    parser.add_argument("--number", choices=NUMBERS, default="fp16")
    parser.add_argument("--model", choices=MODELS, default="base")
    parser.add_argument("--item", choices=("inference", "lora", "vpt", "full"), default="inference")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--mode", help="torch.compile's; its default without")
    for name, value in (("batch", 64), ("image", 224), ("classes", 1000), ("prompts", 10), ("depth", 0), ("runs", 20)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no CUDA device; --device cpu is for dry runs")
    torch.set_float32_matmul_precision("high")
    print(json.dumps({"gemm": gemm, "vit": vit, "copy": copy}[args.what](args)))


if __name__ == "__main__":
    main()
