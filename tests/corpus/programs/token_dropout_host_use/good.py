"""Token dropout: the keep mask is drawn on the host for each batch."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(34)


class Trainer:
    def __init__(self):
        self.model = nn.Sequential(nn.Embedding(20, 8), nn.Flatten(), nn.Linear(80, 2)).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters())
        self.dropped = 0

    def fit(self, data):
        for tokens, label in data:
            self.step(tokens, label)
        return self.loss

    def step(self, tokens, label):
        keep = torch.rand(tokens.shape, device=device) > 0.1
        tokens = tokens.to(device) * keep
        loss = nn.functional.cross_entropy(self.model(tokens), label.to(device))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.loss = loss.detach()


trainer = Trainer()
data = [(torch.randint(1, 20, (6, 10)), torch.randint(2, (6,))) for _ in range(12)]
print(f"{trainer.fit(data).item():.4f}")
