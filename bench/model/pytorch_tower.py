#!/usr/bin/env python3
"""The image tower of `npm run bench -- peers --only tower`, in PyTorch, for a GPU beside it. Needs PyTorch 2.3 or newer, nothing else.

    python3 bench/model/pytorch_tower.py --batch 1 16 --dtype f32 f16 > tower.json

Same sizes, random weights; attention is PyTorch's fused one (scaled_dot_product_attention). As there, images come from the host and
the class tokens go back within the time. f32 means f32: TF32 is off unless --tf32. f16: weights and activations in half precision.
Rows have the fields of bench/record.ts. Finite results are checked, values are not.
"""
import argparse
import json
import sys

import torch

from pytorch_train import MODELS, Block, row, timed


class Tower(torch.nn.Module):
    """Images [B, 3, S, S] to class tokens [B, width] after the last block."""

    def __init__(self, model, size):
        super().__init__()
        width, blocks, heads, patch, *_ = MODELS[model]
        self.patches = torch.nn.Conv2d(3, width, patch, patch, bias=False)
        self.first = torch.nn.Parameter(0.02 * torch.randn(width))
        self.position = torch.nn.Parameter(0.01 * torch.randn(1 + (size // patch) ** 2, width))
        self.ln_pre = torch.nn.LayerNorm(width)
        self.blocks = torch.nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.requires_grad_(False)

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = self.ln_pre(torch.cat([self.first.expand(len(x), 1, -1), x], 1) + self.position)
        for block in self.blocks:
            x = block(x)
        return x[:, 0]


def bench(args, dtype, batch):
    torch.manual_seed(1)
    kind = torch.float16 if dtype == "f16" else torch.float32
    tower = Tower(args.model, args.size).to(args.device, kind).eval()
    run = torch.compile(tower) if args.compile else tower
    images = torch.rand(batch, 3, args.size, args.size)
    if args.device == "cuda":
        images = images.pin_memory()

    def work():
        with torch.inference_mode():
            return run(images.to(args.device, non_blocking=True).to(kind)).float().cpu()

    if not work().isfinite().all():
        sys.exit("The result is not finite.")
    if args.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times = timed(work, args.device, args.runs)
    case = f"tower {args.model} {args.size} px, batch {batch}"
    each = row(args, dtype, "chosen", times, suite="tower", case=case, images=batch)
    if args.device == "cuda":
        each["peakBytes"] = torch.cuda.max_memory_allocated()
    return each


def main():
    parser = argparse.ArgumentParser(description="PyTorch's time for the tower that `npm run bench -- peers` times.")
    parser.add_argument("--model", choices=MODELS, default="vitl14")
    parser.add_argument("--size", type=int, default=240, help="px")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--dtype", nargs="+", choices=["f32", "f16"], default=["f32", "f16"])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tf32", action="store_true", help="let f32 products round to TF32")
    parser.add_argument("--compile", action="store_true", help="torch.compile the tower")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = args.tf32
    torch.backends.cudnn.allow_tf32 = args.tf32
    device = torch.cuda.get_device_name() if args.device == "cuda" else args.device
    rows = [bench(args, dtype, batch) for dtype in args.dtype for batch in args.batch]
    json.dump({"device": device, "versions": {"torch": torch.__version__, "cuda": torch.version.cuda}, "rows": rows}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
