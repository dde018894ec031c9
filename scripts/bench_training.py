"""One round of training in PyTorch: what scripts/bench_training.mjs compares with. A GPT-2 of the given size, float32, AdamW.

bench_training.py LAYERS HEADS WIDTH VOCABULARY CONTEXT BATCH STEPS THREADS: prints the seconds of each step but the first two.
"""

import math
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

LAYERS, HEADS, WIDTH, VOCABULARY, CONTEXT, BATCH, STEPS, THREADS = map(int, sys.argv[1:])
torch.set_num_threads(THREADS)
torch.manual_seed(0)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x, mask):
        b, t, _ = x.shape
        q, k, v = (
            y.view(b, t, HEADS, WIDTH // HEADS).transpose(1, 2)
            for y in self.qkv(self.ln_1(x)).split(WIDTH, dim=2)
        )
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(WIDTH // HEADS)
        y = F.softmax(scores.masked_fill(mask, float("-inf")), dim=-1) @ v
        x = x + self.out(y.transpose(1, 2).reshape(b, t, WIDTH))
        return x + self.down(F.gelu(self.up(self.ln_2(x))))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = nn.LayerNorm(WIDTH)

    def forward(self, ids, labels):
        t = ids.shape[1]
        x = self.wte(ids) + self.wpe(torch.arange(t))
        mask = torch.triu(torch.ones(t, t, dtype=torch.bool), 1)
        for block in self.blocks:
            x = block(x, mask)
        logits = self.ln_f(x) @ self.wte.weight.T
        return F.cross_entropy(logits.view(-1, VOCABULARY), labels.reshape(-1))


model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, foreach=True)
data = torch.randint(VOCABULARY, (BATCH, CONTEXT + 1))
for step in range(STEPS + 2):
    begun = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    model(data[:, :-1], data[:, 1:]).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step >= 2:
        print(time.perf_counter() - begun, flush=True)
