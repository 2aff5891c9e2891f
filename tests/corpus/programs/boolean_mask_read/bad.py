"""Valid tokens are selected by a boolean mask before the loss."""
import torch
import torch.nn.functional as F
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(30, 12)
        self.out = nn.Linear(12, 5)

    def forward(self, tokens):
        return self.out(self.emb(tokens))


def masked_loss(logits, tags):
    keep = tags != -100
    return F.cross_entropy(logits[keep], tags[keep])  # expect: PA204


torch.manual_seed(86)
model = Tagger().to(device)
optimizer = torch.optim.Adam(model.parameters())
data = [(torch.randint(30, (4, 8)), torch.where(torch.rand(4, 8) < 0.3, -100, torch.randint(5, (4, 8)))) for _ in range(12)]
for tokens, tags in data:
    loss = masked_loss(model(tokens.to(device)), tags.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
