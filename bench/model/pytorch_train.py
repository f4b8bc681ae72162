#!/usr/bin/env python3
"""The training step of `npm run bench -- train --model vitl14`, in PyTorch, for a GPU beside it. Needs PyTorch 2.3 or newer, nothing else.

    python3 bench/model/pytorch_train.py --batch 16 --dtype f32 f16 > pytorch.json

Same sizes, random weights: cached features of the block before the first adapter go in; the text tower over 21 learned prompts of 77
positions (not causal), the blocks with adapters at four depths, the detection and segmentation losses (preset authors), the way
back to adapters and context vectors only, Adam. No gradient of a frozen weight is asked for. Attention is PyTorch's fused one.
f32 means f32: TF32 is off unless --tf32. f16: frozen weights and activations in half precision, adapters f32, under autocast.
Rows have the fields of bench/record.ts. A finite loss is checked, values are not.
"""
import argparse
import json
import math
import statistics
import sys
import time

import torch
import torch.nn.functional as F

# width, blocks, heads, patch; text width, blocks, heads; joint embedding
MODELS = {
    "vitl14": (1024, 24, 16, 14, 768, 12, 12, 768),
    "vitb16": (768, 12, 12, 16, 512, 12, 8, 512),
    "vitb32": (768, 12, 12, 32, 512, 12, 8, 512),
}
STAGES, NORMAL, ABNORMAL, VECTORS, CONTEXT = 4, 10, 11, 8, 77


class Block(torch.nn.Module):
    """Pre-LN transformer block with frozen weights, exact GELU."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x, rows=None):
        """rows: (prompt, position) pairs; what lies behind the attention is computed for these alone."""
        batch, tokens, width = x.shape
        q, k, v = (
            t.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)
            for t in self.qkv(self.ln_1(x)).chunk(3, dim=-1)
        )
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        if rows is not None:
            x, y = x[rows], y[rows]
        x = x + self.out(y)
        return x + self.down(F.gelu(self.up(self.ln_2(x))))


class Step(torch.nn.Module):
    def __init__(self, model, size):
        super().__init__()
        width, blocks, heads, patch, text_width, text_blocks, text_heads, embed = MODELS[model]
        self.size, self.grid, self.first = size, size // patch, blocks // STAGES
        self.features = (1 + self.grid**2, width)
        later = [Block(width, heads) for _ in range(blocks - self.first)]
        self.blocks = torch.nn.ModuleList(later)
        self.text = torch.nn.ModuleList(Block(text_width, text_heads) for _ in range(text_blocks))
        self.final = torch.nn.LayerNorm(text_width)
        self.projection = torch.nn.Linear(text_width, embed, bias=False)
        count = NORMAL + ABNORMAL
        self.register_buffer("tokens", 0.02 * torch.randn(count, CONTEXT, text_width))
        self.register_buffer("position", 0.01 * torch.randn(CONTEXT, text_width))
        self.register_buffer("ends", torch.full((count,), VECTORS + 4))
        self.requires_grad_(False)
        linear = lambda a, b: torch.nn.Linear(a, b, bias=False)
        self.seg_in, self.det_in = (
            torch.nn.ModuleList(linear(width, embed) for _ in range(STAGES)) for _ in range(2)
        )
        # Nothing follows the last stage's second matrices.
        self.seg_out, self.det_out = (
            torch.nn.ModuleList(linear(embed, width) for _ in range(STAGES - 1)) for _ in range(2)
        )
        self.context = torch.nn.Parameter(0.02 * torch.randn(count, VECTORS, text_width))

    def columns(self):
        x = torch.cat([self.tokens[:, :1], self.context.to(self.tokens.dtype), self.tokens[:, 1 + VECTORS :]], 1)
        x = x + self.position
        rows = (torch.arange(len(self.ends), device=x.device), self.ends)
        for i, block in enumerate(self.text):
            x = block(x, rows if i == len(self.text) - 1 else None)
        x = self.projection(self.final(x)).float()
        return torch.stack([F.normalize(part.mean(0), dim=-1) for part in (x[:NORMAL], x[NORMAL:])], 1)

    def logits(self, features, text):
        with torch.autocast(features.device.type, enabled=False):
            return 100 * F.normalize(features[:, 1:].float(), dim=-1) @ text

    def forward(self, x, labels, masks):
        text = self.columns()
        loss = 0.0
        leaky = lambda t: F.leaky_relu(t, 0.01)
        per_stage = len(self.blocks) // (STAGES - 1)
        for stage in range(STAGES):
            if stage > 0:
                for block in self.blocks[(stage - 1) * per_stage : stage * per_stage]:
                    x = block(x)
            seg, det = leaky(self.seg_in[stage](x)), leaky(self.det_in[stage](x))
            if stage < STAGES - 1:
                back = leaky(self.seg_out[stage](seg)) + leaky(self.det_out[stage](det))
                x = (0.8 * x + 0.1 * back).to(x.dtype)
            score = self.logits(det, text).softmax(-1)[..., 1].mean(-1)
            loss = loss + F.binary_cross_entropy_with_logits(score, labels)
            grid = self.logits(seg, text).transpose(1, 2).reshape(-1, 2, self.grid, self.grid)
            grid = F.interpolate(grid, size=(self.size, self.size), mode="bilinear", align_corners=True)
            loss = loss + segmentation_loss(grid.softmax(1), masks)
        return loss


def segmentation_loss(p, masks):
    """Focal (gamma 2, smoothing 1e-5) and dice of the abnormal class."""
    smooth = 1e-5
    own = torch.where(masks > 0.5, p[:, 1], p[:, 0])
    own = (1 - smooth) * own + smooth * (1 - own) + smooth
    focal = (-((1 - own) ** 2) * own.log()).mean()
    found, wanted = p[:, 1].flatten(1), masks.flatten(1)
    overlap = (2 * (found * wanted).sum(1) + 1) / (found.sum(1) + wanted.sum(1) + 1)
    return focal + (1 - overlap).mean()


def timed(work, device, runs):
    """Milliseconds of each run, the device idle before and after."""
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    times = []
    for i in range(runs + 3):
        wait()
        start = time.perf_counter()
        work()
        wait()
        if i >= 3:
            times.append(1000 * (time.perf_counter() - start))
    return times


def bench(args, dtype):
    torch.manual_seed(1)
    half = dtype == "f16"
    step = Step(args.model, args.size).to(args.device)
    if half:
        for part in (step.blocks, step.text, step.projection, step.final):
            part.half()
        step.tokens, step.position = step.tokens.half(), step.position.half()
    features = torch.randn(args.batch, *step.features, device=args.device, dtype=torch.float16 if half else torch.float32)
    labels = (torch.arange(args.batch, device=args.device) % 2).float()
    masks = (torch.rand(args.batch, args.size, args.size, device=args.device) > 0.8).float()
    trained = [p for p in step.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=1e-6, betas=(0.5, 0.999))
    scaler = torch.amp.GradScaler(args.device, enabled=half, init_scale=4096.0)
    run = torch.compile(step) if args.compile else step

    def forward():
        with torch.autocast(args.device, torch.float16, enabled=half):
            return run(features, labels, masks)

    def forward_only():
        with torch.no_grad():
            forward()

    def both():
        optimiser.zero_grad(set_to_none=True)
        loss = forward()
        scaler.scale(loss).backward()
        return loss

    def update():
        scaler.step(optimiser)
        scaler.update()

    def whole():
        both()
        update()

    if not math.isfinite(both().item()):
        sys.exit("The loss is not finite.")
    if args.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    rows = []
    named = {"forward": forward_only, "forward and backward": both, "step": whole}
    for variant, work in named.items():
        images = args.batch if variant == "step" else None
        rows.append(row(args, dtype, variant, timed(work, args.device, args.runs), images=images))
    both()
    # Of the update alone: gradients stay as they are. Unscaling twice is refused, so without the scaler.
    rows.append(row(args, dtype, "optimiser", timed(optimiser.step, args.device, args.runs)))
    if args.device == "cuda":
        for each in rows:
            each["peakBytes"] = torch.cuda.max_memory_allocated()
    return rows


def row(args, dtype, variant, times, suite="train", case=None, images=None):
    """images: of one run, where images a second say something."""
    times = sorted(times)
    at = lambda q: times[min(len(times) - 1, int(q * len(times)))]
    median = statistics.median(times)
    return {
        "suite": suite,
        "case": case or f"{args.model}, {args.size} px, batch {args.batch}",
        "engine": f"pytorch {torch.__version__}{' compiled' if args.compile else ''}{' tf32' if args.tf32 else ''}",
        "variant": variant,
        "dtype": dtype,
        "runs": len(times),
        "medianMs": median,
        "p10Ms": at(0.1),
        "p90Ms": at(0.9),
        **({"imagesPerS": 1000 * images / median} if images else {}),
    }


def main():
    parser = argparse.ArgumentParser(description="PyTorch's time for the step that `npm run bench -- train` times.")
    parser.add_argument("--model", choices=MODELS, default="vitl14")
    parser.add_argument("--size", type=int, default=240, help="px")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--dtype", nargs="+", choices=["f32", "f16"], default=["f32", "f16"])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tf32", action="store_true", help="let f32 products round to TF32")
    parser.add_argument("--compile", action="store_true", help="torch.compile the step")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = args.tf32
    torch.backends.cudnn.allow_tf32 = args.tf32
    device = torch.cuda.get_device_name() if args.device == "cuda" else args.device
    rows = [each for dtype in args.dtype for each in bench(args, dtype)]
    json.dump({"device": device, "versions": {"torch": torch.__version__, "cuda": torch.version.cuda}, "rows": rows}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
