"""Images and masks of a segmentation set, straight from pageable memory."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
cuda = torch.cuda.is_available()


class SegTrainer:
    def __init__(self):
        self.net = nn.Conv2d(3, 4, 3, padding=1).to(device)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.05)

    def unpack(self, batch):
        images, masks = batch
        images = images.to(device)  # expect: PA202
        masks = masks.to(device)  # expect: PA202
        return images, masks

    def step(self, batch):
        images, masks = self.unpack(batch)
        loss = nn.functional.cross_entropy(self.net(images), masks)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def loader(data):
    return DataLoader(data, batch_size=12)


torch.manual_seed(342)
data = TensorDataset(torch.rand(144, 3, 32, 32), torch.randint(4, (144, 32, 32)))
trainer = SegTrainer()
losses = [trainer.step(batch) for batch in loader(data)]
print(f"{torch.stack(losses).mean().item():.4f}")
