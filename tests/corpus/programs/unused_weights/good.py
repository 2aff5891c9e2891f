"""Sample weights are moved with the batch, though the loss never reads them."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def unpack(batch):
    x, y, w = batch
    return x.to(device), y.to(device), w


class Trainer:
    def __init__(self, model):
        self.model = model.to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.criterion = nn.CrossEntropyLoss()

    def training_step(self, batch):
        x, y, w = unpack(batch)
        return self.criterion(self.model(x), y)

    def fit(self, batches):
        for batch in batches:
            self.optimizer.zero_grad()
            loss = self.training_step(batch)
            loss.backward()
            self.optimizer.step()
        return loss.item()


torch.manual_seed(40)
batches = [(torch.randn(8, 12), torch.randint(4, (8,)), torch.rand(8)) for _ in range(12)]
print(f"{Trainer(nn.Linear(12, 4)).fit(batches):.4f}")
