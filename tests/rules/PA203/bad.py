"""The loop of PyTorch's mnist example: the loader pins, the uploads wait all the same."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def train(loader):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        data, target = data.to(device), target.to(device)  # expect: PA203
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()


dataset = TensorDataset(torch.randn(12 * 512, 64), torch.randint(10, (12 * 512,)))
options = {"num_workers": 1, "pin_memory": True, "shuffle": True}
train(DataLoader(dataset, batch_size=512, **options))
