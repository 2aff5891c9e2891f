"""Multi-label training: bytes for labels, widened for the loss."""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Tagged(Dataset):
    def __init__(self, n, tags=200):
        self.x = torch.randn(n, 8)
        self.tags = (torch.rand(n, tags) > 0.8).to(torch.uint8)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.tags[i]


class Tagger:
    def __init__(self):
        self.model = nn.Linear(8, 200).to(device)
        self.criterion = nn.BCEWithLogitsLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.5)

    def training_step(self, batch):
        x, tags = batch
        tags = tags.float().to(device)  # expect: PA107
        loss = self.criterion(self.model(x.to(device)), tags)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


torch.manual_seed(328)
tagger = Tagger()
loader = DataLoader(Tagged(96), batch_size=8, shuffle=True)
for batch in loader:
    loss = tagger.training_step(batch)
print(f"{loss.item():.4f}")
