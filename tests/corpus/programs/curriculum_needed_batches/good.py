"""Truncated backpropagation through time: the state stays, the chunks are needed uploads."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class CharRNN(nn.Module):
    def __init__(self, vocab=20, hidden=24):
        super().__init__()
        self.emb, self.gru, self.out = nn.Embedding(vocab, 8), nn.GRU(8, hidden, batch_first=True), nn.Linear(hidden, vocab)

    def forward(self, x, h):
        y, h = self.gru(self.emb(x), h)
        return self.out(y), h


def repackage(h):
    return h.detach()


torch.manual_seed(123)
model = CharRNN().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
text = torch.randint(20, (4, 12 * 6 + 1))
h = torch.zeros(1, 4, 24, device=device)
for start in range(0, 72, 6):
    x, y = text[:, start : start + 6].to(device), text[:, start + 1 : start + 7].to(device)
    logits, h = model(x, h)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    h = repackage(h)
print(f"{loss.item():.4f}")
