"""Token priors from a file are added to the logits through a lambda."""
import tempfile
from pathlib import Path

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(150)

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "prior.pt"
    torch.save(torch.randn(40).log_softmax(0), path)
    prior = torch.load(path, map_location=device, weights_only=True)

adjust = lambda logits: logits + prior

model = nn.Sequential(nn.Embedding(40, 8), nn.Linear(8, 40)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for tokens in torch.randint(40, (12, 17)):
    tokens = tokens.to(device)
    loss = nn.functional.cross_entropy(adjust(model(tokens[:-1])), tokens[1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
