"""A GPT builds its positions with arange on the host; the mask comes from tril."""
import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.ln = nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x, mask):
        q, k, v = self.qkv(self.ln(x)).chunk(3, -1)
        att = (q @ k.transpose(1, 2)).masked_fill(mask == 0, float("-inf"))
        return x + self.proj(F.softmax(att, -1) @ v)


class GPT(nn.Module):
    def __init__(self, vocab=30, dim=16, block=12):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, dim), nn.Embedding(block, dim)
        self.blocks = nn.ModuleList(Block(dim) for _ in range(2))
        self.head = nn.Linear(dim, vocab, bias=False)

    def forward(self, idx, targets=None):
        b, t = idx.shape
        pos = torch.arange(0, t, dtype=torch.long).unsqueeze(0).to(idx.device)  # expect: PA103
        mask = torch.tril(torch.ones(t, t)).to(  # expect: PA103
            idx.device,
            non_blocking=True,
        )
        x = self.wte(idx) + self.wpe(pos)
        for block in self.blocks:
            x = block(x, mask)
        logits = self.head(x)
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())


device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(25)
tokens = torch.randint(30, (12, 4, 13))
model = GPT().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for chunk in tokens:
    x, y = chunk[:, :-1].contiguous().to(device), chunk[:, 1:].contiguous().to(device)
    _, loss = model(x, y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
