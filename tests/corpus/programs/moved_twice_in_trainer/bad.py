"""The loader's generator moves each batch; the trainer moves it again."""
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_batches(batches):
    for x, y in batches:
        yield x.to(device), y.to(device)


class Trainer:
    def __init__(self, model):
        self.model = model.to(device)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def training_step(self, x, y):
        x = x.to(device)  # expect: PA306 info
        logits = self.model(x)
        loss = nn.functional.cross_entropy(logits, y.to(device))  # expect: PA306 info
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss

    def fit(self, batches):
        for x, y in device_batches(batches):
            loss = self.training_step(x, y)
        return loss


torch.manual_seed(335)
batches = [(torch.randn(8, 6), torch.randint(3, (8,))) for _ in range(12)]
trainer = Trainer(nn.Linear(6, 3))
print(f"{trainer.fit(batches).item():.4f}")
