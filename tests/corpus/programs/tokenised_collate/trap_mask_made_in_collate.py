"""The collate function makes ids and mask on the host; they cross as a batch does."""
import random

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

device = "cuda" if torch.cuda.is_available() else "cpu"


class Texts(Dataset):
    def __init__(self, n):
        rng = random.Random(321)
        self.rows = [[rng.randrange(1, 40) for _ in range(rng.randrange(4, 12))] for _ in range(n)]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


def collate(rows):
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    causal = torch.triu(torch.ones(width, width, dtype=torch.bool), diagonal=1)
    return {"ids": ids, "causal": causal | ids.eq(0)[:, None, :]}


class TinyLM(nn.Module):
    def __init__(self, vocab=40, dim=16):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.head = nn.Linear(dim, vocab)

    def forward(self, ids, causal=None):
        x = self.embed(ids)
        t = ids.size(1)
        q, k, v = self.qkv(x).chunk(3, -1)
        scores = q @ k.transpose(1, 2) / x.size(-1) ** 0.5
        return self.head(x + scores.masked_fill(causal, -1e4).softmax(-1) @ v)


torch.manual_seed(321)
model = TinyLM().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for batch in DataLoader(Texts(56), batch_size=4, collate_fn=collate):
    batch = {k: v.to(device) for k, v in batch.items()}
    logits = model(**batch)
    ids = batch["ids"]
    loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
